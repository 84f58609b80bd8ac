local n=tonumber(arg[1]) local function class(area) local c={} c.__index=c c.area=area return c end
local Flat=class(function() return 1 end) local Disc=class(function(o) return o.r*o.r*3 end) local Bar=class(function(o) return o.l+o.l end)
local a={[0]=setmetatable({},Flat),setmetatable({r=2},Disc),setmetatable({l=3},Bar),setmetatable({r=1},Disc)}
local s=0 for i=0,n-1 do local t=a[i%4] s=s+t:area() end print(s)
