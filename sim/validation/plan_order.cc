#include "sim/validation/plan_order.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace meshstep {
namespace {

// Seconds per token.
struct Cost {
  double predicted, measured;
};

struct Tally {
  std::int64_t pairs = 0, right = 0;
  void Add(bool is_right) {
    ++pairs;
    right += is_right ? 1 : 0;
  }
  double share() const {
    return pairs > 0 ? static_cast<double>(right) / static_cast<double>(pairs) : 0;
  }
};

double Regret(const std::vector<Cost>& group) {
  const auto picked =
      std::min_element(group.begin(), group.end(),
                       [](const Cost& a, const Cost& b) { return a.predicted < b.predicted; });
  const auto best = std::min_element(group.begin(), group.end(), [](const Cost& a, const Cost& b) {
    return a.measured < b.measured;
  });
  return picked->measured / best->measured - 1;
}

}  // namespace

void SummarizeOrder(v1::ValidateReport* report) {
  constexpr double kApart = 1.1, kFarApart = 1.2;
  report->clear_order();
  std::map<std::string, std::vector<Cost>> groups;
  for (const v1::ValidateRow& row : report->rows()) {
    if (!row.has_predicted_s() || row.measured_s() <= 0 || row.tokens() <= 0) continue;
    groups[row.group()].push_back(
        {row.predicted_s() / row.tokens(), row.measured_s() / row.tokens()});
  }
  Tally near, far;
  double regrets = 0, worst = 0;
  std::int64_t choices = 0;
  for (const auto& [name, group] : groups) {
    if (group.size() < 2) continue;
    ++choices;
    const double regret = Regret(group);
    regrets += regret;
    worst = std::max(worst, regret);
    for (std::size_t i = 0; i < group.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) {
        const Cost& slow = group[i].measured > group[k].measured ? group[i] : group[k];
        const Cost& fast = group[i].measured > group[k].measured ? group[k] : group[i];
        const double ratio = slow.measured / fast.measured;
        if (ratio < kApart) continue;
        (ratio < kFarApart ? near : far).Add(slow.predicted > fast.predicted);
      }
    }
  }
  if (choices == 0) return;
  v1::ValidateOrder* const order = report->mutable_order();
  order->set_pairs(near.pairs + far.pairs);
  order->set_right(Tally{near.pairs + far.pairs, near.right + far.right}.share());
  order->set_near_pairs(near.pairs);
  order->set_near_right(near.share());
  order->set_far_right(far.share());
  order->set_groups(choices);
  order->set_mean_regret(regrets / static_cast<double>(choices));
  order->set_worst_regret(worst);
}

}  // namespace meshstep
