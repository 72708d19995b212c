-- notes: tells servers what they wait for. Hints only: a lost note costs time, never correctness.
local notes = {}

local function tell(server, line)
  local lines = notes[server]
  if not lines then
    lines = {}
    notes[server] = lines
  end
  lines[#lines + 1] = line
end

-- Wakes one server with a waiting poll, not all of them: the lease that follows wakes the next one if tasks are left.
local function wake(namespace, queue)
  local server = call('SPOP', key_waiters(namespace, queue))
  if server then tell(server, 'Q' .. namespace .. ':' .. queue) end
end

-- `waiting` is the field wt of a task: servers that asked to be told, all but `knows`.
local function tell_waiting(waiting, namespace, id, knows)
  if not waiting or waiting == '' or waiting == knows then return end
  for server in string.gmatch(waiting, '[^,]+') do
    if server ~= knows then tell(server, 'T' .. namespace .. ':' .. id) end
  end
end

local function send_notes()
  for server, lines in pairs(notes) do
    call('PUBLISH', 'penstock:server:' .. server, table.concat(lines, '\n'))
  end
  notes = {}
end
