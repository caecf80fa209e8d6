// Who takes part in the transfers of a step, and what these cost.
//
// Folded, a unit stands for devices that do the same at the same time: first those that a symmetry
// of mesh and fabric maps to each other, then those that colour refinement of the step's own
// transfers does not tell apart (strategies/step/unit_classes.h). Unfolded, every device is a unit
// and every link its own.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_UNITS_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_UNITS_H_

#include <compare>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/cost/collective_model.h"
#include "strategies/step/step_graph.h"
#include "strategies/step/unit_classes.h"

namespace meshstep {

// A transfer that stage `from` sends to stage `to`.
struct StageSend {
  int transfer, from, to;
  auto operator<=>(const StageSend&) const = default;
};

class StepUnits {
 public:
  // `model` works on link classes; `explicit_model` on links, or is null when folded. sends: all
  // that the step may have; null: units stay as symmetry alone tells them apart, which is enough to
  // ask for prices.
  StepUnits(const Plan& plan, const Mesh& mesh, const LinkClasses& classes,
            const CollectiveModel& model, const CollectiveModel* explicit_model,
            const TransferTable& transfers, const std::set<StageSend>* sends);

  const std::vector<UnitInfo>& units() const { return units_; }
  // By stage: units, by device.
  const std::vector<std::vector<int>>& stages() const { return stages_; }
  struct Link {
    StepLink info;
    BytesPerSecond capacity;
  };
  const std::vector<Link>& links() const { return links_; }
  // By class of link: index into links(). Empty: unfolded.
  const std::vector<int>& link_of_class() const { return link_of_class_; }

  // Groups that run a transfer inside a stage. Error: the plan's algorithm does not run there.
  StatusOr<std::vector<UnitGroup>> Groups(int transfer, int stage) const;
  // One per unit of the sending stage: {sender, receiver}.
  std::vector<UnitGroup> Sends(const StageSend& send) const;

 private:
  bool unfolded() const { return explicit_model_ != nullptr; }
  bool IsDistinguished(AxisId axis) const;
  std::vector<int> KeyOf(DeviceId device) const;
  void ListUnits(AxisId axis, std::vector<int>* coordinates, std::vector<DeviceId>* devices) const;
  void ListLinks();
  std::vector<UnitGroup> Members(int stage, const std::vector<AxisId>& axes) const;
  StatusOr<CollectiveCost> CostOf(const TransferSpec& spec, DeviceId device) const;
  std::string Algorithm(const TransferSpec& spec) const;
  void Merge(const std::set<StageSend>& sends);
  void Adopt(const UnitClasses& classes);

  const Plan& plan_;
  const Mesh& mesh_;
  const LinkClasses& classes_;
  const CollectiveModel& model_;
  const CollectiveModel* explicit_model_;
  const TransferTable& transfers_;
  std::vector<UnitInfo> units_;
  std::vector<std::vector<int>> stages_;
  std::map<std::vector<int>, int> unit_of_;  // by KeyOf its devices
  std::vector<Link> links_;
  std::vector<int> link_of_class_;
  // If units were merged: by transfer and stage, and by send.
  bool is_merged_ = false;
  std::map<std::pair<int, int>, std::vector<UnitGroup>> merged_groups_;
  std::map<StageSend, std::vector<UnitGroup>> merged_sends_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_UNITS_H_
