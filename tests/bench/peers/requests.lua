-- Requests for wrk: arguments are a path in which %s stands for an id, a file of ids, a token ("" for none), and how
-- many amounts a request to hordak posts (0: one, to the path's account; none: the request only reads).
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("id", threads)
end

function init(arguments)
  path, token, items = arguments[1], arguments[3], tonumber(arguments[4])
  accounts = {}
  for line in io.lines(arguments[2]) do accounts[#accounts + 1] = line end
  math.randomseed(id * 7919 + os.time())
end

local function any()
  return accounts[math.random(#accounts)]
end

function request()
  local address = string.format(path, any())
  if items == nil then
    local headers = {}
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    return wrk.format("GET", address, headers)
  end
  local headers = { ["Content-Type"] = "application/json" }
  if items == 0 then
    return wrk.format("POST", address, headers, '{"amount":"0.01","description":"Calls abroad"}')
  end
  local records = {}
  for n = 1, items do
    records[n] = '{"account":' .. any() .. ',"amount":"0.01","description":"Calls abroad"}'
  end
  return wrk.format("POST", address, headers, '{"records":[' .. table.concat(records, ",") .. "]}")
end
