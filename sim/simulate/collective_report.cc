#include "sim/simulate/collective_report.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/lower_bound.h"
#include "sim/cost/stepwise.h"
#include "sim/simulate/names.h"
#include "topologies/cluster.h"

namespace meshstep {
namespace {

// Message by message, all-to-all of p ranks is p^2 flows, a ring all-reduce 2 p^2; rings are made
// step by step, which takes time but no memory.
constexpr int kMostStepwiseRanks = 1024;
constexpr std::int64_t kMostStepwiseMessages = 100'000'000;

Status CheckStepwise(const CollectiveAlgorithm& algorithm, Collective collective,
                     const Group& group) {
  if (group.size() <= kMostStepwiseRanks) return absl::OkStatus();
  const std::int64_t messages = MessagesMadeByStep(algorithm, collective, group);
  if (messages == 0) {
    return InvalidInput(absl::StrCat("--stepwise: the group has ", group.size(),
                                     " ranks, expected at most ", kMostStepwiseRanks, " for ",
                                     std::string(algorithm.name())));
  }
  if (messages <= kMostStepwiseMessages) return absl::OkStatus();
  return InvalidInput(absl::StrCat("--stepwise: ", std::string(algorithm.name()), " sends ",
                                   messages, " messages, expected at most ",
                                   kMostStepwiseMessages));
}

void AddCandidates(const std::vector<CollectiveModel::Offer>& offers,
                   v1::CollectiveReport* report) {
  for (const CollectiveModel::Offer& offer : offers) {
    v1::CollectiveCandidate* candidate = report->add_candidates();
    candidate->set_library_algorithm(std::string(offer.cost.library_name));
    candidate->set_protocol(std::string(offer.cost.protocol));
    candidate->set_algorithm(std::string(offer.cost.algorithm->name()));
    candidate->set_tuner_s(offer.tuner.value());
    candidate->set_time_s(offer.cost.idle_time.value());
  }
}

std::string FabricOf(const Cluster& cluster, Fidelity fidelity) {
  std::string text = cluster.name.empty() ? cluster.chip.name : cluster.name;
  if (cluster.is_torus()) {
    std::string rings;
    for (std::size_t d = 0; d < cluster.slice.size(); ++d) {
      if (!cluster.wraps[d] || cluster.slice[d] <= 2) continue;
      absl::StrAppend(&rings, rings.empty() ? "" : ", ", std::string(1, "xyzuvw"[d]));
    }
    absl::StrAppend(&text, ", a slice of ", absl::StrJoin(cluster.slice, "x"),
                    rings.empty() ? " without rings" : " with rings along " + rings);
  } else if (!cluster.is_graph()) {
    absl::StrAppend(&text, ", ", cluster.chips, " chips in nodes of ",
                    cluster.nodes.chips_per_node);
  }
  return text + (fidelity == Fidelity::kIdeal ? "; ideal" : "; calibrated");
}

StatusOr<v1::CollectiveReport> TimeOne(const CollectiveSetup& setup, const CollectiveModel& model,
                                       const LowerBound& of_one_byte, Collective collective,
                                       Bytes bytes, const CollectiveOptions& options) {
  const Group group = setup.mesh->GroupOf(setup.axes, 0);
  v1::CollectiveReport report;
  report.set_collective(std::string(NameOf(collective)));
  report.set_ranks(group.size());
  report.set_bytes(bytes.value());
  report.set_fabric(FabricOf(setup.cluster, options.fidelity));
  ASSIGN_OR_RETURN(const CollectiveCost cost,
                   model.Cost(collective, bytes, setup.axes, 0, options.algorithm));
  report.set_algorithm("none");
  if (cost.algorithm == nullptr) return report;
  const double time = cost.idle_time.value();
  report.set_algorithm(std::string(cost.algorithm->name()));
  report.set_protocol(std::string(cost.protocol));
  if (options.why) AddCandidates(model.Offers(collective, bytes, setup.axes, 0), &report);
  report.set_time_s(time);
  report.set_closed_form_s(cost.algorithm->ClosedForm(collective, bytes, group).value());
  report.set_lower_bound_s(of_one_byte.Times(bytes.value()).value().value());
  report.set_algbw_bytes_per_s(time > 0 ? bytes.value() / time : 0);
  report.set_busbw_bytes_per_s(report.algbw_bytes_per_s() * BusFactor(collective, group.size()));
  if (options.stepwise) {
    RETURN_IF_ERROR(CheckStepwise(*cost.algorithm, collective, group));
    report.set_stepwise_s(
        Stepwise(*setup.fabric, group, *cost.algorithm, collective, bytes).time.seconds());
  }
  return report;
}

}  // namespace

StatusOr<v1::CollectiveReports> TimeCollective(const CollectiveSetup& setup, Collective collective,
                                               std::span<const double> sizes,
                                               const CollectiveOptions& options) {
  const int ranks = setup.mesh->GroupOf(setup.axes, 0).size();
  const LinkClasses classes(*setup.mesh, {});
  const CollectiveModel model(*setup.mesh, &classes, options.fidelity);
  LowerBound of_one_byte;
  if (ranks > 1) {
    of_one_byte =
        LowerBoundOf(*setup.fabric, setup.mesh->GroupOf(setup.axes, 0), collective, Bytes(1));
  }
  v1::CollectiveReports reports;
  for (const double bytes : sizes) {
    ASSIGN_OR_RETURN(*reports.add_reports(),
                     TimeOne(setup, model, of_one_byte, collective, Bytes(bytes), options));
  }
  return reports;
}

}  // namespace meshstep
