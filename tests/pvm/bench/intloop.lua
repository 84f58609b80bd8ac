local s=0 for i=0,199999999 do s = s + (i & 7) * 3 end print(s)
