// A schedule of one's own, as PyTorch writes its pipeline schedules: one line per stage, cells in
// the order in which the stage runs them, each <part><F|B|I|W><micro-batch>.
//
//   0F0,0F1,,0B0,0F2,0B1,0B2
//   ,1F0,1B0,1F1,1B1,1F2,1B2
//
// F forward, B backward, I gradient of the input only, W of the weights. A B whose part and
// micro-batch also have a W is an I. Empty cells are idle time; it comes out of the simulation.
// Sends, receives, gathers and reductions (SEND_F, RECV_F, SEND_B, RECV_B, UNSHARD, RESHARD,
// REDUCE_GRAD) follow from the plan and are passed over.

#ifndef MESHSTEP_STRATEGIES_PLAN_SCHEDULE_TABLE_H_
#define MESHSTEP_STRATEGIES_PLAN_SCHEDULE_TABLE_H_

#include <memory>
#include <string>

#include "sim/base/status.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {

// Error: "name:line: ...", one line per problem: a cell that cannot be read, a part on two stages,
// a (part, micro-batch) without its forward or backward, not one line per stage.
StatusOr<std::shared_ptr<const Schedule>> ParseScheduleTable(const std::string& name,
                                                             const std::string& content, int stages,
                                                             std::int64_t micro_batches);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_SCHEDULE_TABLE_H_
