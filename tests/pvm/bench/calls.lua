local n=tonumber(arg[1]) local Shape={} Shape.__index=Shape function Shape.new(w) return setmetatable({w=w},Shape) end function Shape:area() return self.w end
local Square=setmetatable({},{__index=Shape}) Square.__index=Square function Square.new(w) return setmetatable({w=w},Square) end function Square:area() return self.w*self.w end
local a,b=Shape.new(3),Square.new(4) local s=0 for i=0,n-1 do s=s+a:area()+b:area() end print(s)
