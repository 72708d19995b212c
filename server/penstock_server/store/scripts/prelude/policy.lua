-- policy: what the head of a stored spec says about judging executions. See policy.py for its positions.
local function policy_of(namespace, id)
  local head = call('GETRANGE', key_spec(namespace, id), 0, 1)
  local length = #head == 2 and struct.unpack('>H', head) or 0
  local given = {}
  if length > 0 then given = cmsgpack.unpack(call('GETRANGE', key_spec(namespace, id), 2, 1 + length)) end
  local policy = {}
  for position, name in ipairs(POLICY_NAMES) do
    local value = given[position]
    if value == nil then value = POLICY_DEFAULTS[position] end
    policy[name] = value
  end
  return policy
end

-- Wait before the next attempt, ms. `attempts` have failed so far; `random` is a number from 0 to 1 that the caller drew.
local function backoff(policy, attempts, random)
  local wait = policy.initial_backoff_ms * policy.multiplier ^ (attempts - 1)
  if not (wait < policy.max_backoff_ms) then wait = policy.max_backoff_ms end
  return math.floor(wait * (1 + policy.jitter * (2 * random - 1)) + 0.5)
end
