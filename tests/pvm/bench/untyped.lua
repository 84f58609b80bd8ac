local Square={} Square.__index=Square function Square:area() return self.w*self.w end local o=setmetatable({w=4},Square) local s=0 for i=1,5000000 do local r=o:area() s=s+r end print(s)
