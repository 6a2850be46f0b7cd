-- Sends so many requests at once on each connection: wrk -s pipeline.lua URL -- COUNT
function init(parameters)
  local requests = {}
  for index = 1, tonumber(parameters[1]) do requests[index] = wrk.format() end
  together = table.concat(requests)
end

function request()
  return together
end
