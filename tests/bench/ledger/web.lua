-- Charges for wrk: arguments are a token, a file of organizations, how many records a call has (0: the route of one
-- charge), and a word that makes the keys of this run its own.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("id", threads)
end

function init(arguments)
  token, items, run, calls = arguments[1], tonumber(arguments[3]), arguments[4], 0
  wallets, at = {}, os.date("!%Y-%m-%dT%H:%M:%SZ")
  for line in io.lines(arguments[2]) do wallets[#wallets + 1] = line end
  math.randomseed(id * 7919 + os.time())
end

local function key(n)
  return run .. "-" .. id .. "-" .. calls .. "-" .. n
end

function request()
  calls = calls + 1
  local headers = {
    ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json", ["Idempotency-Key"] = key(0)
  }
  if items == 0 then
    local path = "/v1/organizations/" .. wallets[math.random(#wallets)] .. "/account/charges"
    local body = '{"amount":"0.01","kind":"usage","description":"Calls abroad"}'
    return wrk.format("POST", path, headers, body)
  end
  local records = {}
  for n = 1, items do
    records[n] = '{"id":"' .. key(n) .. '","organization_id":"' .. wallets[math.random(#wallets)]
      .. '","amount":"0.01","at":"' .. at .. '","description":"Calls abroad"}'
  end
  return wrk.format("POST", "/v1/usage", headers, '{"records":[' .. table.concat(records, ",") .. "]}")
end
