local s=0.0 for i=1,49999999 do s = s + 1.0 / i end print(s)
