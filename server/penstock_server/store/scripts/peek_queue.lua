-- peek_queue: names the first tasks of a queue that wait, run or are dead.
--   uses   base
--   flags  no-writes
--   input  {namespace, queue, limit}
--   gives  {word, ready ids, scheduled ids, running ids, dead ids}; words: ok · not_found
--   safe to repeat: yes
local namespace, queue, limit = input[1], input[2], input[3]
local epoch = call('HGET', key_queue(namespace, queue), 'e')
if not epoch then return cmsgpack.pack({'not_found', {}, {}, {}, {}}) end

local function by_score(left, right)
  if left[1] ~= right[1] then return left[1] < right[1] end
  return left[2] < right[2]
end

local found = {}
for _, type in ipairs(call('HKEYS', key_types(namespace, queue, epoch))) do
  for _, group in ipairs(call('ZRANGE', key_groups(namespace, queue, epoch, type), 0, limit - 1)) do
    local heads = call('ZRANGE', key_ready(namespace, queue, epoch, type, group), 0, limit - 1, 'WITHSCORES')
    for position = 1, #heads, 2 do found[#found + 1] = {tonumber(heads[position + 1]), heads[position]} end
  end
end
table.sort(found, by_score)
local ready = {}
for position = 1, math.min(limit, #found) do ready[position] = found[position][2] end

local scheduled = call('ZRANGE', key_due(namespace, queue, epoch), 0, limit - 1)
local running = call('ZRANGE', key_leases(namespace, queue), 0, limit - 1)
local dead = call('ZREVRANGE', key_dead(namespace, queue), 0, limit - 1)
return cmsgpack.pack({'ok', ready, scheduled, running, dead})
