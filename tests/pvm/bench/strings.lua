local m=tonumber(arg[1]) local n=0 for i=0,m-1 do local s="item "..i.." of" n=n+#s end print(n)
