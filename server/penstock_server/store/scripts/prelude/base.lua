-- base: what every script begins with.
--   keys   the hash tag of the partition, the only declared key; named P by the library
--   args   1 the time to take for now, ms, or "" for the store's clock (tests pass one) · 2 input, msgpack
local call = redis.call
local now_us
if ARGV[1] == '' then
  local time = call('TIME')
  now_us = time[1] * 1000000 + time[2]
else
  now_us = ARGV[1] * 1000
end
local now = math.floor(now_us / 1000)
local input = cmsgpack.unpack(ARGV[2])

-- Lua spells some large numbers with an exponent; fields, scores and cursors need their digits. The same few numbers come
-- again and again within a call.
local spelled = {}
local function digits(number)
  local text = spelled[number]
  if not text then
    text = string.format('%.0f', number)
    spelled[number] = text
  end
  return text
end
local now_text = digits(now)

-- Values as msgpack. Joining what is known costs a third of packing the values of a record or an event anew.
local NIL = cmsgpack.pack(nil)
local packed = setmetatable({}, {__index = function(known, value)
  local bytes = cmsgpack.pack(value)
  known[value] = bytes
  return bytes
end})
