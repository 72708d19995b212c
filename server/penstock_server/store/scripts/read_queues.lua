-- read_queues: reads queues with what is in them.
--   uses   base
--   flags  no-writes
--   input  {{namespace, queue} …}
--   gives  {now, {{epoch, created, paused, config, version}, scheduled, running, dead, types and counts, first score} or {} for each}
--   safe to repeat: yes
local function oldest(namespace, queue, epoch, types)
  local first = -1
  for position = 1, math.min(#types, 200), 2 do
    local groups = call('ZRANGE', key_groups(namespace, queue, epoch, types[position]), 0, 19)
    for _, group in ipairs(groups) do
      local head = call('ZRANGE', key_ready(namespace, queue, epoch, types[position], group), 0, 0, 'WITHSCORES')
      local ready_ms = head[2] and tonumber(head[2]) % 1e13
      if ready_ms and (first < 0 or ready_ms < first) then first = ready_ms end
    end
  end
  return first
end

local answers = {}
for index, item in ipairs(input) do
  local namespace, queue = item[1], item[2]
  local fields = call('HMGET', key_queue(namespace, queue), 'e', 'c', 'pz', 'cf', 'v')
  local epoch = fields[1]
  if not epoch then
    answers[index] = {}
  else
    local types = call('HGETALL', key_types(namespace, queue, epoch))
    local due = call('ZCARD', key_due(namespace, queue, epoch))
    answers[index] = {fields, due, call('ZCARD', key_leases(namespace, queue)), call('ZCARD', key_dead(namespace, queue)),
      types, oldest(namespace, queue, epoch, types)}
  end
end
return cmsgpack.pack({now, answers})
