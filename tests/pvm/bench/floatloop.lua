local n=tonumber(arg[1]) local s=0.0 for i=1,n-1 do s = s + 1.0 / i end print(s)
