-- hand_off: takes tasks in and hands ready ones of a queue to waiting polls, in one step.
--   uses   base task events notes waiting ending
--   calls  submit lease
--   flags  none: a full store refuses new tasks
--   input  {what submit takes, what lease takes}
--   gives  {what submit gives, what lease gives}, each packed
--   safe to repeat: as its parts are
local taken = submit(input[1])
return cmsgpack.pack({taken, lease(input[2])})
