// What stages send each other.

#ifndef MESHSTEP_STRATEGIES_STEP_SEND_TRANSFERS_H_
#define MESHSTEP_STRATEGIES_STEP_SEND_TRANSFERS_H_

namespace meshstep {

// Between stages: the transfer, and what gathers its parts on arrival; -1: there is none.
struct SendTransfers {
  int send = -1, gather = -1;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_SEND_TRANSFERS_H_
