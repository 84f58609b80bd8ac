local n=tonumber(arg[1]) local o={x=0,y=1} for i=1,n do o.x=o.x+o.y o.y=o.y+1 end print(o.x)
