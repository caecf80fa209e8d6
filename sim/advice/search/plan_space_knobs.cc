#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/framework.pb.h"
#include "sim/advice/search/plan_space.h"
#include "strategies/plan/load_framework.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

constexpr int kMostMicro = 16;
constexpr int kVirtualStages[] = {2, 3, 4, 5, 6, 8, 10, 12, 16, 20};
constexpr int kFirstLayers[] = {1, 2, 4, 8, 16};

std::vector<int> Divisors(std::int64_t n) {
  std::vector<int> divisors;
  for (int d = 1; d <= n && d <= 1 << 20; ++d) {
    if (n % d == 0) divisors.push_back(d);
  }
  return divisors;
}

std::string Set(const char* field, std::int64_t value) {
  return absl::StrCat("plan.", field, "=", value);
}
std::string Set(const char* field, const char* value) {
  return absl::StrCat("plan.", field, "=", value);
}

std::vector<Choice> Switch(const char* field) {
  std::vector<Choice> choices(2);
  for (std::size_t on = 0; on < 2; ++on) {
    choices[on].on = on == 1;
    choices[on].set = {Set(field, on == 1 ? "true" : "false")};
  }
  return choices;
}

std::string PathOf(const std::string& assignment) {
  return assignment.substr(0, assignment.find('='));
}

bool Sets(const Choice& choice, const std::string& path) {
  return std::any_of(choice.set.begin(), choice.set.end(),
                     [&](const std::string& set) { return PathOf(set) == path; });
}

// Lists of modules that Megatron-Core and what is built on it can run again: each that the model has
// by itself, and the small ones together, as its guides advise. "core_attn" is "selective".
std::vector<std::string> ModulesOf(const Model& model, const std::string& framework,
                                   const std::vector<v1::Framework>& files) {
  constexpr char kWithModules[] = "megatron-core";
  const bool has = FrameworkName(framework) == kWithModules ||
                   std::ranges::any_of(files, [&](const v1::Framework& file) {
                     return file.base() == kWithModules;
                   });
  if (!has) return {};
  std::vector<std::string> lists = {"layernorm"};
  std::string small = "layernorm";
  if (model.mla) {
    lists.push_back("mla_up_proj");
    small += ";mla_up_proj";
  }
  if (model.moe) {
    lists.insert(lists.end(), {"moe_act", "moe"});
    small += ";moe_act";
  }
  lists.push_back("mlp");
  if (small != "layernorm") lists.push_back(small);
  return lists;
}

}  // namespace

Status PlanSpace::AddKnobs(const Catalog& catalog) {
  AddDegrees();
  knob(Knob::kExperts) = {Choice()};
  if (loaded_.model.moe) {
    knob(Knob::kExperts).clear();
    for (const int e : Divisors(loaded_.model.moe->experts)) {
      for (const int shards : {1, 2, 4, 8}) {
        Choice choice;
        choice.expert = e;
        choice.shards = shards;
        choice.set = {Set("expert", e), Set("expert_tensor", shards)};
        knob(Knob::kExperts).push_back(choice);
      }
    }
  }
  AddMicroBatches();
  Choice as_it_is;
  as_it_is.on = loaded_.plan.overlap_experts;
  knob(Knob::kCustom) = {as_it_is};
  AddSchedules();
  RETURN_IF_ERROR(AddRecomputation(catalog));
  knob(Knob::kSequence) = Switch("sequence_parallel");
  const bool trains = !loaded_.workload.forward_only();
  knob(Knob::kAsync) = trains ? Switch("async_tensor") : std::vector<Choice>(1);
  AddState();
  AddOrders();
  knob(Knob::kOverlap) = trains ? Switch("overlap_parameters") : std::vector<Choice>(1);
  return absl::OkStatus();
}

void PlanSpace::AddMicroBatches() {
  const int own = base_.plan().micro_batch_sequences();
  for (const int micro : Divisors(loaded_.workload.batch)) {
    if (micro > kMostMicro && micro != own) continue;
    Choice choice;
    choice.number = micro;
    choice.set = {Set("micro_batch_sequences", micro)};
    knob(Knob::kMicro).push_back(choice);
  }
}

// Tensor and context share the fastest links; then what comes next to them. And as the scenario
// says.
void PlanSpace::AddOrders() {
  std::vector<std::string> orders = {"tensor,context,fsdp,data,pipeline",
                                     "tensor,context,pipeline,fsdp,data"};
  const std::string& own = base_.plan().order();
  const auto axes = std::ranges::count(own, ',') + 1;
  if (axes == 5 && std::ranges::count(orders, own) == 0) orders.push_back(own);
  for (const std::string& order : orders) {
    Choice choice;
    choice.order = absl::StrSplit(order, ',');
    choice.set = {Set("order", order.c_str())};
    knob(Knob::kOrder).push_back(choice);
  }
}

void PlanSpace::AddDegrees() {
  const int devices = loaded_.cluster.devices();
  for (const int t : Divisors(devices)) {
    for (const int c : Divisors(devices / t)) {
      for (const int p : Divisors(devices / t / c)) {
        for (const int f : Divisors(devices / t / c / p)) {
          Choice choice;
          choice.degrees = {t, c, p, f, devices / t / c / p / f};
          choice.set = {Set("tensor", t), Set("context", c), Set("pipeline", p), Set("fsdp", f),
                        Set("data", choice.degrees.data)};
          knob(Knob::kDegrees).push_back(choice);
        }
      }
    }
  }
}

void PlanSpace::AddSchedules() {
  const auto add = [&](const PublishedSchedule* schedule, int parts) {
    Choice choice;
    choice.schedule = schedule;
    choice.virtual_stages = parts;
    choice.set = {absl::StrCat("plan.schedule=", std::string(schedule->name())),
                  Set("virtual_stages", parts)};
    knob(Knob::kSchedule).push_back(choice);
  };
  const PublishedSchedule* const own = FindSchedule(base_.plan().schedule());
  const int own_parts = std::max(1, base_.plan().virtual_stages());
  add(FindSchedule("1f1b"), 1);
  for (const int parts : kVirtualStages) add(FindSchedule("interleaved"), parts);
  if (loaded_.workload.forward_only()) return;
  add(FindSchedule("zb-h1"), 1);
  add(FindSchedule("zb-v"), 2);
  if (loaded_.model.moe) add(FindSchedule("dualpipe"), 2);
  const auto is_own = [&](const Choice& choice) {
    return choice.schedule == own && choice.virtual_stages == own_parts;
  };
  if (own != nullptr && base_.plan().has_virtual_stages() &&
      std::ranges::none_of(knob(Knob::kSchedule), is_own)) {
    add(own, own_parts);
  }
}

// What every plan may say, the names and modules that its framework has, and what the scenario says.
Status PlanSpace::AddRecomputation(const Catalog& catalog) {
  std::vector<Choice>& choices = knob(Knob::kRecompute);
  if (loaded_.workload.forward_only()) {
    choices = {Choice()};
    return absl::OkStatus();
  }
  const auto add = [&](const std::string& policy, const std::string& modules, int layers) {
    Choice choice;
    choice.number = layers;
    choice.set = {Set("recompute", policy.c_str()), Set("recompute_modules", modules.c_str()),
                  layers > 0 ? Set("recompute_layers", layers) : "plan.recompute_layers="};
    if (policy != "full" && policy != "modules") choice.set.push_back("plan.recompute_keep=");
    const auto there = [&](const Choice& other) { return other.set == choice.set; };
    if (std::ranges::none_of(choices, there)) choices.push_back(choice);
  };
  for (const char* policy : {"none", "selective", "matmuls", "full"}) add(policy, "", 0);
  for (const int layers : kFirstLayers) add("full", "", layers);
  const v1::Plan& own = base_.plan();
  if (!own.framework().empty()) {
    ASSIGN_OR_RETURN(const std::vector<v1::Framework> files,
                     ReadFramework(own.framework(), catalog));
    for (const v1::Framework& file : files) {
      for (const v1::RecomputePolicy& policy : file.recompute_policies()) add(policy.name(), "", 0);
    }
    for (const std::string& modules : ModulesOf(loaded_.model, own.framework(), files)) {
      add("modules", modules, 0);
    }
  }
  if (!own.recompute().empty()) {
    const bool full = own.recompute() == "full" || own.recompute() == "block";
    add(own.recompute() == "block" ? "full" : own.recompute(),
        absl::StrJoin(own.recompute_modules(), ";"), full ? own.recompute_layers() : 0);
  }
  return absl::OkStatus();
}

void PlanSpace::AddState() {
  std::vector<Choice>& choices = knob(Knob::kState);
  if (loaded_.workload.forward_only()) {
    choices = {Choice()};
    return;
  }
  for (const int zero : {0, 1, 2}) {
    for (const bool accumulate : {false, true}) {
      Choice choice;
      choice.number = zero;
      choice.on = accumulate;
      choice.set = {Set("zero_stage", zero),
                    Set("accumulate_unsharded", accumulate ? "true" : "false")};
      choices.push_back(choice);
    }
  }
}

// Choices that say one of the values of a field stay; where a knob is of that field alone, values
// that none says are new choices. A field of no knob is a dimension of its own.
Status PlanSpace::Restrict(const Vary& given) {
  Vary vary = given;
  // The axes of one order are separated by commas, as values are.
  if (vary.path == "plan.order") vary.values = {absl::StrJoin(given.values, ",")};
  if (vary.rest) return InvalidInput(absl::StrCat("--vary ", vary.path, ": is not a range"));
  if (!vary.path.starts_with("plan.")) {
    return InvalidInput(absl::StrCat("--vary ", vary.path,
                                     ": a search varies fields of the plan; run it once for each "
                                     "cluster or workload"));
  }
  for (std::vector<Choice>& choices : knobs_) {
    if (!Sets(choices.front(), vary.path)) continue;
    std::vector<Choice> kept;
    for (const std::string& value : vary.values) {
      const std::string wanted = absl::StrCat(vary.path, "=", value);
      bool found = false;
      for (const Choice& choice : choices) {
        if (std::find(choice.set.begin(), choice.set.end(), wanted) == choice.set.end()) continue;
        kept.push_back(choice);
        found = true;
      }
      if (found) continue;
      if (choices.front().set.size() > 1 && vary.path != "plan.recompute") {
        return InvalidInput(absl::StrCat(wanted, ": is none of the choices for ", vary.path));
      }
      Choice choice = choices.front();
      choice.set[0] = wanted;
      if (vary.path == "plan.order") choice.order = absl::StrSplit(value, ',');
      if (vary.path == "plan.micro_batch_sequences") choice.number = std::atoi(value.c_str());
      kept.push_back(std::move(choice));
    }
    choices = std::move(kept);
    return absl::OkStatus();
  }
  std::vector<Choice> product;
  for (const Choice& choice : knob(Knob::kCustom)) {
    for (const std::string& value : vary.values) {
      product.push_back(choice);
      product.back().set.push_back(absl::StrCat(vary.path, "=", value));
      if (vary.path == "plan.overlap_experts") product.back().on = value == "true" || value == "1";
    }
  }
  knob(Knob::kCustom) = std::move(product);
  return absl::OkStatus();
}

}  // namespace meshstep
