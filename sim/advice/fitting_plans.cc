#include "sim/advice/fitting_plans.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

// Degrees beyond these are no small change.
constexpr int kMostTensor = 16, kMostPipeline = 16;

std::string Set(const char* field, std::int64_t value) {
  return absl::StrCat("plan.", field, "=", value);
}

// One setting of every knob.
struct Setting {
  int zero = 0;  // 0 to 2 of data; 3: all of data is fsdp
  bool full_recompute = false;
  bool one_sequence = false;
  int tensor = 1, pipeline = 1;
  bool host_optimizer = false;
};

class Neighbourhood {
 public:
  explicit Neighbourhood(const ScenarioFile& input)
      : input_(input), plan_(input.proto.plan()), scenario_(input.scenario) {
    base_.zero = plan_.fsdp() > 1 || plan_.zero_stage() == 3 ? 3 : plan_.zero_stage();
    base_.full_recompute = scenario_.plan.recompute == Recompute::kFull;
    base_.one_sequence = scenario_.plan.micro_batch_sequences <= 1;
    base_.tensor = std::max(1, plan_.tensor());
    base_.pipeline = std::max(1, plan_.pipeline());
    base_.host_optimizer = plan_.offload().optimizer() > 0;
  }

  std::vector<PlanCandidate> Take() const;

 private:
  std::vector<Setting> Settings() const;
  std::vector<int> Degrees(int now, int most) const;
  int Knobs(const Setting& s) const;
  std::optional<PlanEdit> EditOf(const Setting& s) const;
  int Rest(const Setting& s) const {
    const int context = std::max(1, plan_.context());
    const int used = s.tensor * s.pipeline * context;
    return scenario_.cluster.devices() % used == 0 ? scenario_.cluster.devices() / used : 0;
  }

  const ScenarioFile& input_;
  const v1::Plan& plan_;
  const Scenario& scenario_;
  Setting base_;
};

// The present degree and powers of two around it.
std::vector<int> Neighbourhood::Degrees(int now, int most) const {
  std::vector<int> degrees = {now};
  for (int d = 1; d <= most; d *= 2) {
    if (d != now && scenario_.cluster.devices() % d == 0) degrees.push_back(d);
  }
  return degrees;
}

int Neighbourhood::Knobs(const Setting& s) const {
  return static_cast<int>(s.zero != base_.zero) +
         static_cast<int>(s.full_recompute != base_.full_recompute) +
         static_cast<int>(s.one_sequence != base_.one_sequence) +
         static_cast<int>(s.tensor != base_.tensor) +
         static_cast<int>(s.pipeline != base_.pipeline) +
         static_cast<int>(s.host_optimizer != base_.host_optimizer);
}

// As --set takes it; nothing where the degrees do not multiply to the devices.
std::optional<PlanEdit> Neighbourhood::EditOf(const Setting& s) const {
  const int rest = Rest(s);
  if (rest == 0) return std::nullopt;
  PlanEdit edit;
  const bool same_rest = s.tensor * s.pipeline == base_.tensor * base_.pipeline;
  if (s.tensor != base_.tensor) edit.push_back(Set("tensor", s.tensor));
  if (s.tensor > 1 && base_.tensor == 1 && !plan_.has_sequence_parallel()) {
    edit.push_back("plan.sequence_parallel=true");
  }
  if (s.pipeline != base_.pipeline) edit.push_back(Set("pipeline", s.pipeline));
  if (s.zero != base_.zero || !same_rest) {
    const bool fsdp = s.zero == 3;
    // A second axis of replicas stays out of the way.
    if (fsdp != (base_.zero == 3) || !same_rest || (fsdp && plan_.data() > 1)) {
      edit.push_back(Set("data", fsdp ? 1 : rest));
      edit.push_back(Set("fsdp", fsdp ? rest : 1));
    }
    const int zero = fsdp ? 0 : s.zero;
    if (zero != plan_.zero_stage()) edit.push_back(Set("zero_stage", zero));
  }
  if (s.full_recompute != base_.full_recompute) {
    edit.push_back("plan.recompute=full");
    if (plan_.recompute_modules_size() > 0) edit.push_back("plan.recompute_modules=");
  }
  const bool pipelined = s.pipeline > 1 && base_.pipeline == 1;
  if (s.one_sequence != base_.one_sequence || (pipelined && !base_.one_sequence)) {
    edit.push_back(Set("micro_batch_sequences", 1));
  }
  if (s.host_optimizer != base_.host_optimizer) edit.push_back("plan.offload.optimizer=1");
  return edit;
}

// Every setting with every value of one knob.
template <class T, class U>
void Vary(T Setting::*knob, const std::vector<U>& values, std::vector<Setting>* settings) {
  std::vector<Setting> varied;
  for (const Setting& setting : *settings) {
    for (const U value : values) {
      varied.push_back(setting);
      varied.back().*knob = value;
    }
  }
  *settings = std::move(varied);
}

std::vector<Setting> Neighbourhood::Settings() const {
  std::vector<Setting> settings = {base_};
  Vary(&Setting::zero, std::vector<int>{3, 1, 2, 0}, &settings);
  Vary(&Setting::tensor, Degrees(base_.tensor, kMostTensor), &settings);
  Vary(&Setting::pipeline, Degrees(base_.pipeline, kMostPipeline), &settings);
  // These only save memory.
  const std::vector<bool> may = {false, true};
  if (!base_.full_recompute) Vary(&Setting::full_recompute, may, &settings);
  if (!base_.one_sequence) Vary(&Setting::one_sequence, may, &settings);
  const bool host = scenario_.cluster.chip.datasheet.host.value() > 0;
  if (host && !base_.host_optimizer) Vary(&Setting::host_optimizer, may, &settings);
  return settings;
}

std::vector<PlanCandidate> Neighbourhood::Take() const {
  std::vector<PlanCandidate> candidates;
  for (const Setting& setting : Settings()) {
    if (Knobs(setting) == 0) continue;
    const std::optional<PlanEdit> edit = EditOf(setting);
    if (edit && !edit->empty()) candidates.push_back({*edit, Knobs(setting)});
  }
  std::ranges::stable_sort(candidates, {}, &PlanCandidate::knobs);
  return candidates;
}

}  // namespace

std::vector<PlanCandidate> FittingPlans(const ScenarioFile& input) {
  if (input.proto.plan().has_mesh() || input.scenario.workload.forward_only()) return {};
  return Neighbourhood(input).Take();
}

}  // namespace meshstep
