-- complete: ends running executions as succeeded, and their tasks with them.
--   uses   base task events notes waiting policy ending leases record
--   input  {namespaces, ids, fences, random bits, reports, servers that wait for the task and ask for its record, or ""}, a
--          value in each for every task
--   gives  {word} for each task: ok · lease_lost; {now, record} in place of ok where the record was asked for
--   safe to repeat: yes, the same end under the same token answers ok again
-- A longer one would have to be read with every look at the task.
local SHORT = 256
local namespaces, ids, fences, randoms, reports, servers = unpack(input)
local words = {}

local function succeed(fields)
  fields.s, fields.sq, fields.e, fields.r = 5, fields.sq + 1, now, 0
  fields.told = event(5, fields.sq, 5, fields.x, 1, fields.a, 0, 0, fields.w)
end

-- ---- a crowd: tasks of a namespace that share all but their own fields, and whose end touches nothing else of them ----
local crowds = {}

-- false if there is more to do.
local function crowd_of(namespace, shared)
  local crowd = crowds[shared]
  if crowd == nil then
    crowd = shared.s == 4 and not (shared.cq or shared.ik or shared.wt) and
      {namespace = namespace, before = shared, after = made_of(shared, succeed), ids = {}, count = 0, bytes = 0,
       goes = digits(now + (shared.rt or LIMITS.ended_age_ms))}
    crowds[shared] = crowd
  end
  return crowd and crowd.namespace == namespace and crowd
end

local function join(crowd, index, key, n, c, t)
  write_later(key, packed_record(n, c, t, reports[index], crowd.after.bytes))
  local count = crowd.count + 1
  crowd.count, crowd.bytes, crowd.ids[count] = count, crowd.bytes + n, ids[index]
end

local function end_crowds()
  for _, crowd in pairs(crowds) do
    if crowd and crowd.count > 0 then
      local namespace, fields, goes, count = crowd.namespace, crowd.before, crowd.goes, #ended_args
      for index, id in ipairs(crowd.ids) do
        ended_args[count + 2 * index - 1], ended_args[count + 2 * index] = goes, namespace .. ':' .. id
      end
      let_go(namespace, fields.q, fields.w, crowd.ids)
      count_backlog(namespace, -crowd.count, -crowd.bytes)
      emit_all(namespace, fields.q, fields.y, crowd.ids, crowd.after.told)
    end
  end
end

-- ---- a task by itself ----
local after_success = {}

local function complete(task, report, server)
  drop_lease(task)
  if #report <= SHORT then task.re = report else keep_execution(task, 1, report) end
  follow_end(task, become(task, succeed, after_success).told, server)
end

local function complete_alone(index, task)
  local word = proof(task, fences[index], randoms[index])
  if word == 'ok' then
    complete(task, reports[index], servers[index])
  elseif word == 'ended' then
    word = told_again(task, 1)
  end
  return word
end

local function complete_one(index, key, record)
  local id, namespace = ids[index], namespaces[index]
  local shared, n, c, t, re = look_at(id, record)
  if not shared or t ~= randoms[index] or shared.f ~= fences[index] then return 'lease_lost' end
  -- What a task shares with none before it is worked out for it alone.
  local crowd = not shared.alone and servers[index] == '' and #reports[index] <= SHORT and crowd_of(namespace, shared)
  if not crowd then return complete_alone(index, new_task(namespace, id, key, shared, n, c, t, re)) end
  join(crowd, index, key, n, c, t)
  return 'ok'
end

local keys, met, again = {}, {}, {}
for index = 1, #ids do keys[index] = key_task(namespaces[index], ids[index]) end
local records = call('MGET', unpack(keys))
for index, key in ipairs(keys) do
  if met[key] then
    again[#again + 1] = index
  else
    met[key], words[index] = true, complete_one(index, key, records[index])
  end
end
if #again > 0 then
  write_tasks() -- what one of a crowd has become is known nowhere else
  for _, index in ipairs(again) do words[index] = complete_alone(index, read_task(namespaces[index], ids[index])) end
end
end_crowds()
write_all()
for index, server in ipairs(servers) do
  if server ~= '' and words[index] == 'ok' then
    words[index] = {now, record_of(read_task(namespaces[index], ids[index]), true)}
  end
end
return cmsgpack.pack(words)
