-- task: the record of a task, and what a script has at hand of it: a table with namespace, id, key, its own fields, and
--   `shared`, a table of all other fields, which is one for all tasks of the call whose bytes are the same there. Reading
--   task.q finds what is shared; what a script writes hides it, and `become` puts another shared table in its place.
--   `look_at` finds both in a record, for scripts that change many tasks alike and need no table for each.
--   A script reads a record once and has one table of it, however often it asks; what it changes is written at the end,
--   together with all else that was put aside. A stub has a lifetime, which that would end: nothing changes a stub.
--   RARE_TASK_FIELDS are changed by `set` and `alter` only, and stand in `task.rare` too, which is kept as it is; whoever
--   changes another one calls `save`, after which `shared` is false. A field that is taken away is false: nil would show
--   what is shared. Names of fields have two letters at most; what scripts note beside them, but for id, has more.
local tasks, changed, put_aside, put_count, shared_fields = {}, {}, {}, 0, {}
local pcall, sub, pack = pcall, string.sub, cmsgpack.pack -- found quicker than a global name

local function write_later(key, value)
  put_aside[put_count + 1], put_aside[put_count + 2] = key, value
  put_count = put_count + 2
end

-- Makes a table of fields one that tasks can share. `alone` until a second task of the call is met that has them.
local function share(fields, bytes, alone)
  fields.bytes, fields.reads, fields.alone = bytes, {__index = fields}, alone
  return fields
end

-- What tasks share whose records end with these bytes, false if it is none.
local function shared_of(bytes)
  local fields = shared_fields[bytes]
  if fields == nil then
    local readable, found = pcall(shared_in, bytes)
    fields = readable and found and share(found, bytes, true) or false
    shared_fields[bytes] = fields
  elseif fields then
    fields.alone = false
  end
  return fields
end

-- What stands in a record: the shared fields, then the own ones. Nothing if something else has written over it: every script
-- steps over such a record, and `audit` tells of it.
local function look_at(id, record)
  local readable, last, n, c, t, re = pcall(own_in, record)
  local shared = readable and last and #id == 26 and shared_of(sub(record, last + 1))
  if shared then return shared, n, c, t, re end
end

-- The table of a task in which `look_at` has found these.
local function new_task(namespace, id, key, shared, n, c, t, re)
  -- `changed` stands there from the start: a table that grows by one more field is made anew.
  local task = setmetatable({namespace = namespace, id = id, key = key, shared = shared, changed = false,
    n = n, c = c, t = t or false, re = re or false}, shared.reads)
  tasks[key] = task
  return task
end

local function known_task(namespace, id, key, record)
  local shared, n, c, t, re = look_at(id, record)
  if shared then return new_task(namespace, id, key, shared, n, c, t, re) end
  tasks[key] = false
  return false
end

-- false if there is none.
local function read_task(namespace, id)
  local key = key_task(namespace, id)
  if tasks[key] == nil then
    -- GET would raise where something else than a string is.
    return known_task(namespace, id, key, call('MGET', key)[1])
  end
  return tasks[key]
end

-- The tasks of these namespaces and ids, in their order; false for one that is not there.
local function read_tasks(namespaces, ids)
  local found, keys, positions, count = {}, {}, {}, 0
  for position = 1, #ids do
    local key = key_task(namespaces[position], ids[position])
    local task = tasks[key]
    found[position] = task or false
    if task == nil then
      count = count + 1
      keys[count], positions[count] = key, position
    end
  end
  if count == 0 then return found end
  local records = call('MGET', unpack(keys))
  for index = 1, count do
    local key, position = keys[index], positions[index]
    local task = tasks[key] -- it may be asked for twice
    if task == nil then task = known_task(namespaces[position], ids[position], key, records[index]) end
    found[position] = task
  end
  return found
end

local function write_at_end(task)
  if task.changed then return end
  task.changed = true
  changed[#changed + 1] = task
end

-- What it has is like no other's any more.
local function save(task)
  task.shared = false
  write_at_end(task)
end

local function alter(task, name, value)
  local rare = {}
  for other, kept in pairs(task.rare or {}) do rare[other] = kept end
  task[name], rare[name] = value or false, value
  task.rare = next(rare) and rare or false
end

local function set(task, name, value)
  alter(task, name, value)
  save(task)
end

-- What a change makes of fields that tasks share, as fields that they share then.
local function made_of(shared, change, with)
  local after = {}
  for name, value in pairs(shared) do after[name] = value end
  change(after, with)
  return share(after, packed_shared(after), false)
end

-- Changes a task in a way that rests on nothing but what it shares: worked out once for all that share it.
--   change  a function of a table of fields, which it changes, and of `with`; `alter` is for the rare ones
--   known   what this change has made of shared fields until now
-- Gives the table that has the fields now, and whatever else `change` has noted there.
local function become(task, change, known, with)
  local shared = task.shared
  if not shared or shared.alone then
    change(task, with)
    save(task)
    return task
  end
  local after = known[shared]
  if not after then
    after = made_of(shared, change, with)
    known[shared] = after
  end
  task.shared = after
  setmetatable(task, after.reads)
  write_at_end(task)
  return after
end

-- Its keys are removed by the caller.
local function forget(task) tasks[task.key] = false end

local RANDOM_BITS = string.char(0xb0) -- what msgpack begins a text of sixteen bytes with

-- A record of own fields and the bytes of shared ones.
local function packed_record(n, c, t, re, bytes)
  local report = re and pack(re) or NIL
  if t then return packed[n] .. packed[c] .. RANDOM_BITS .. t .. report .. bytes end
  return packed[n] .. packed[c] .. NIL .. report .. bytes
end

local function packed_task(task)
  return packed_record(task.n, task.c, task.t, task.re, task.shared and task.shared.bytes or packed_shared(task))
end

local function write_tasks()
  for index = 1, #changed do
    local task = changed[index]
    write_later(task.key, packed_task(task))
    task.changed = false
  end
  if put_count > 0 then call('MSET', unpack(put_aside)) end
  changed, put_aside, put_count = {}, {}, 0
end
