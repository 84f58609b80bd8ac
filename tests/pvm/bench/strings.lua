local n=0 for i=0,2999999 do local s="item "..i.." of" n=n+#s end print(n)
