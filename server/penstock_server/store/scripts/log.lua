-- log: keeps log lines of running executions, or of such that end in the same report.
--   uses   base task notes
--   input  {namespaces, ids, fences, random bits, lines}, a value in each for every task; its lines are {{number, line} …}
--   gives  {word, number of the last line} for each task; words: ok · lease_lost
--   safe to repeat: yes, lines that the store has are dropped by their number
--   Beyond the bounds of one execution a single line says that lines were cut, and the rest is dropped.
local function append(task, fence, random, lines)
  if not task or task.t ~= random or task.f ~= fence then return {'lease_lost', 0} end
  local namespace, id, execution, last, bytes = task.namespace, task.id, task.x, task.ll or 0, task.lb or 0
  local logs, before = key_logs(namespace, id), last
  -- Of a task that ended long ago only a stub is left: its log is gone, and must not begin anew.
  if task.s ~= 4 and call('EXISTS', key_spec(namespace, id)) == 0 then return {'ok', last} end
  for _, line in ipairs(lines) do
    if line[1] > last then
      local cut = last >= LIMITS.log_lines or bytes >= LIMITS.log_bytes
      if not cut then
        call('XADD', logs, execution .. '-' .. digits(line[1]), 'l', line[2])
        bytes = bytes + #line[2]
      elseif bytes < math.huge then
        call('XADD', logs, execution .. '-' .. digits(line[1]), 'cut', '1')
        bytes = math.huge
      end
      last = line[1]
    end
  end
  if last > before then
    set(task, 'll', last)
    set(task, 'lb', bytes)
    tell_waiting(task.wt, namespace, id)
  end
  return {'ok', last}
end

local namespaces, ids, fences, randoms, lines = unpack(input)
local answers = {}
for index, task in ipairs(read_tasks(namespaces, ids)) do
  answers[index] = append(task, fences[index], randoms[index], lines[index])
end
write_tasks()
send_notes()
return cmsgpack.pack(answers)
