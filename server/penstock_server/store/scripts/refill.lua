-- refill: ends running executions as succeeded, and hands ready tasks to the session that ran them, in one step.
--   uses   base task events notes waiting policy ending leases record
--   calls  complete lease
--   input  {what complete takes, what lease takes}
--   gives  two answers: what complete gives, what lease gives
--   safe to repeat: as its parts are
local ended = complete(input[1])
return {ended, lease(input[2])}
