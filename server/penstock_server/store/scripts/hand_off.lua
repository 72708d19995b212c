-- hand_off: takes tasks in and hands ready ones of a queue to waiting polls, in one step.
--   uses   base task events notes waiting ending
--   calls  submit lease
--   flags  none: a full store refuses new tasks
--   input  {what submit takes, what lease takes}
--   gives  two answers: what submit gives, what lease gives
--   safe to repeat: as its parts are
local taken = submit(input[1])
return {taken, lease(input[2])}
