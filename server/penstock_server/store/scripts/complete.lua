-- complete: ends running executions as succeeded, and their tasks with them.
--   uses   base task events notes waiting policy ending leases record
--   input  {namespaces, ids, fences, random bits, reports, servers that wait for the task and ask for its record, or ""}, a
--          value in each for every task
--   gives  {word} for each task: ok · lease_lost; {now, record} in place of ok where the record was asked for
--   safe to repeat: yes, the same end under the same token answers ok again
-- A longer one would have to be read with every look at the task.
local SHORT = 256
local namespaces, ids, fences, randoms, reports, servers = unpack(input)
local words, found = {}, read_tasks(namespaces, ids)

-- Shared fields, and what success has made of them.
local after_success = {}

local function succeed(task)
  task.s, task.sq, task.e, task.r = 5, task.sq + 1, now, 0
  task.told = event(5, task.sq, 5, task.x, 1, task.a, 0, 0, task.w)
end

local function complete(task, report, server)
  drop_lease(task)
  if #report <= SHORT then task.re = report else keep_execution(task, 1, report) end
  follow_end(task, become(task, succeed, after_success).told, server)
end

for index, task in ipairs(found) do
  local word = proof(task, fences[index], randoms[index])
  if word == 'ok' then
    complete(task, reports[index], servers[index])
  elseif word == 'ended' then
    word = told_again(task, 1)
  end
  words[index] = word
end
write_all()
for index, server in ipairs(servers) do
  if server ~= '' and words[index] == 'ok' then words[index] = {now, record_of(found[index], true)} end
end
return cmsgpack.pack(words)
