local Table={} Table.__index=Table
function Table.new(n) local keys,values={},{} for i=0,n-1 do keys[i]=-1 values[i]=0 end return setmetatable({keys=keys,values=values,size=n},Table) end
function Table:find(key) local at=(key*40503)%self.size local keys=self.keys while keys[at]~=key and keys[at]>=0 do at=at+1 if at==self.size then at=0 end end return at end
function Table:add(key,n) local at=self:find(key) self.keys[at]=key self.values[at]=self.values[at]+n end
function Table:get(key) return self.values[self:find(key)] end
local n=tonumber(arg[1]) local t=Table.new(131072) for j=0,n-1 do for i=0,49999 do t:add(i,j) end end
local s=0 for i=0,49999 do s=s+t:get(i)%1000 end print(s)
