local n=tonumber(arg[1]) local function body(x,y,z,vx,vy,vz,mass) return {x=x,y=y,z=z,vx=vx,vy=vy,vz=vz,mass=mass} end
local bodies={[0]=body(0,0,0,0,0,0,39.47),body(4.84,-1.16,0.1,0.6,2.81,0.02,0.037),body(8.34,4.12,0.4,-1.01,1.82,0.008,0.011),
body(12.89,-15.11,0.22,1.08,0.86,0.01,0.0017),body(15.37,-25.9,0.17,0.97,0.59,0.03,0.002)}
local function advance(dt)
  for i=0,4 do local a=bodies[i]
    for j=i+1,4 do local b=bodies[j] local dx,dy,dz=a.x-b.x,a.y-b.y,a.z-b.z local d2=dx*dx+dy*dy+dz*dz local mag=dt/(d2*d2)
      a.vx=a.vx-dx*b.mass*mag a.vy=a.vy-dy*b.mass*mag a.vz=a.vz-dz*b.mass*mag
      b.vx=b.vx+dx*a.mass*mag b.vy=b.vy+dy*a.mass*mag b.vz=b.vz+dz*a.mass*mag end end
  for i=0,4 do local a=bodies[i] a.x=a.x+dt*a.vx a.y=a.y+dt*a.vy a.z=a.z+dt*a.vz end end
for i=1,n do advance(0.01) end print(bodies[0].x)
