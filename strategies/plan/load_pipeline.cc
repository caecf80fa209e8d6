#include "strategies/plan/load_pipeline.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"
#include "sim/base/data_path.h"
#include "strategies/plan/schedule_table.h"

namespace meshstep {
namespace {

constexpr int kMaxVirtualStages = 1 << 20;
constexpr double kMaxBucket = 1e12;
constexpr int kMaxInFlight = 1024;
constexpr std::size_t kMaxTableBytes = std::size_t{64} << 20;

class PipelineLoader {
 public:
  PipelineLoader(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
                 Diagnostics* diagnostics)
      : proto_(proto), field_(field), model_(model), diagnostics_(diagnostics), plan_(*plan) {}

  void Load() {
    if (!LoadOrder()) SetDefault();
    LoadParts();
    LoadReductions();
  }

 private:
  void Error(const std::string& field, const std::string& problem) {
    diagnostics_->Error(field_ + "." + field, problem);
  }

  void SetDefault() {
    plan_.schedule = "1f1b";
    plan_.virtual_stages = 1;
    plan_.order = Borrow(*FindSchedule("1f1b"));
  }

  // Schedules live as long as the program.
  static std::shared_ptr<const Schedule> Borrow(const Schedule& schedule) {
    return {std::shared_ptr<const Schedule>(), &schedule};
  }

  bool LoadOrder();
  bool LoadTable();
  void LoadParts();
  void LoadReductions();

  const v1::Plan& proto_;
  const std::string& field_;
  const Model& model_;
  Diagnostics* diagnostics_;
  Plan& plan_;
};

bool PipelineLoader::LoadOrder() {
  if (proto_.has_virtual_stages() &&
      (proto_.virtual_stages() < 1 || proto_.virtual_stages() > kMaxVirtualStages)) {
    Error("virtual_stages",
          absl::StrCat("is ", proto_.virtual_stages(), ", expected 1 to ", kMaxVirtualStages));
    return false;
  }
  if (!proto_.schedule_table().empty()) return LoadTable();
  plan_.schedule = !proto_.schedule().empty()    ? proto_.schedule()
                   : proto_.virtual_stages() > 1 ? "interleaved"
                                                 : "1f1b";
  const PublishedSchedule* schedule = FindSchedule(plan_.schedule);
  if (schedule == nullptr) {
    std::vector<std::string> names;
    for (const PublishedSchedule* s : Schedules()) names.emplace_back(s->name());
    Error("schedule", absl::StrCat("is \"", plan_.schedule, "\", expected one of ",
                                   absl::StrJoin(names, ", ")));
    return false;
  }
  plan_.virtual_stages =
      proto_.has_virtual_stages() ? proto_.virtual_stages() : schedule->DefaultVirtualStages();
  if (plan_.stages == 1 && plan_.virtual_stages > 1) {
    if (proto_.has_virtual_stages()) {
      Error("virtual_stages", absl::StrCat("is ", plan_.virtual_stages,
                                           " without a pipeline, expected 1 or pipeline > 1"));
    } else {
      Error("schedule",
            absl::StrCat("is \"", plan_.schedule, "\" without a pipeline, expected pipeline > 1"));
    }
    return false;
  }
  const Status status = schedule->Check(plan_.pipeline_shape());
  if (!status.ok()) {
    Error("schedule", std::string(status.message()));
    return false;
  }
  if (plan_.overlap_experts && !schedule->Pairs(plan_.pipeline_shape())) {
    Error("overlap_experts",
          absl::StrCat("is true with schedule \"", plan_.schedule, "\" in ", plan_.stages,
                       plan_.stages > 1 ? " stages" : " stage",
                       ", which does not run forwards and backwards in pairs; expected "
                       "\"interleaved\", \"dualpipe\", or \"1f1b\" in one stage"));
    plan_.overlap_experts = false;
  }
  plan_.order = Borrow(*schedule);
  return true;
}

bool PipelineLoader::LoadTable() {
  if (!proto_.schedule().empty()) {
    Error("schedule_table", "is set beside schedule; expected one of the two");
    return false;
  }
  if (plan_.overlap_experts) {
    Error("overlap_experts", "is true beside schedule_table, whose order is its own");
    plan_.overlap_experts = false;
  }
  const StatusOr<std::string> content = ReadFile(proto_.schedule_table(), kMaxTableBytes);
  if (!content.ok()) {
    diagnostics_->Error(field_ + ".schedule_table", content.status());
    return false;
  }
  StatusOr<std::shared_ptr<const Schedule>> table =
      ParseScheduleTable(proto_.schedule_table(), *content, plan_.stages, plan_.micro_batches);
  if (!table.ok()) {
    diagnostics_->Error(field_ + ".schedule_table", table.status());
    return false;
  }
  plan_.schedule.clear();
  plan_.schedule_table = proto_.schedule_table();
  plan_.order = *std::move(table);
  plan_.virtual_stages = 1;
  for (int s = 0; s < plan_.stages; ++s) {
    plan_.virtual_stages =
        std::max(plan_.virtual_stages, plan_.order->Chunks(s, plan_.pipeline_shape()));
  }
  if (proto_.has_virtual_stages() && proto_.virtual_stages() != plan_.virtual_stages) {
    Error("virtual_stages", absl::StrCat("is ", proto_.virtual_stages(), ", but the table gives ",
                                         plan_.virtual_stages, " parts to a stage"));
  }
  return true;
}

void PipelineLoader::LoadParts() {
  const int parts = plan_.order->Parts(plan_.pipeline_shape());
  plan_.layout = proto_.layout();
  if (!plan_.layout.empty()) {
    StatusOr<std::vector<PipelinePart>> made =
        ParseParts(plan_.layout, parts, model_.layers, model_.mtp_layers);
    if (made.ok()) {
      plan_.parts = *std::move(made);
      return;
    }
    Error("layout", std::string(made.status().message()));
  } else if (parts > model_.layers) {
    Error("pipeline",
          absl::StrCat("is ", plan_.stages, " stages with ", parts, " parts in all, more than the ",
                       model_.layers, " layers of ", model_.name));
  } else if (model_.layers % parts != 0) {
    diagnostics_->Note(absl::StrCat(model_.layers, " layers do not divide over ", parts,
                                    plan_.virtual_stages > 1 ? " parts" : " stages",
                                    "; the first and the last get the fewer"));
  }
  plan_.parts = EvenParts(parts, model_.layers, model_.mtp_layers);
}

void PipelineLoader::LoadReductions() {
  if (proto_.has_overlap_gradients()) plan_.overlap_gradients = proto_.overlap_gradients();
  plan_.overlap_parameters = proto_.overlap_parameters();
  plan_.async_tensor = proto_.async_tensor();
  plan_.split_sends = proto_.split_sends();
  if (proto_.has_stragglers()) plan_.stragglers = proto_.stragglers();
  if (proto_.has_collectives_take_units()) {
    plan_.collectives_take_units = proto_.collectives_take_units();
  }
  if (proto_.has_reductions_in_flight()) {
    plan_.reductions_in_flight = proto_.reductions_in_flight();
  }
  if (plan_.reductions_in_flight < 0 || plan_.reductions_in_flight > kMaxInFlight) {
    Error("reductions_in_flight",
          absl::StrCat("is ", plan_.reductions_in_flight, ", expected 0 to ", kMaxInFlight));
    plan_.reductions_in_flight = 2;
  }
  plan_.gradient_bucket_bytes = proto_.gradient_bucket_bytes();
  if (!(plan_.gradient_bucket_bytes >= 0 && plan_.gradient_bucket_bytes <= kMaxBucket)) {
    Error("gradient_bucket_bytes",
          absl::StrCat("is ", plan_.gradient_bucket_bytes, ", expected 0 to ", kMaxBucket));
    plan_.gradient_bucket_bytes = 0;
  }
}

}  // namespace

void LoadPipeline(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
                  Diagnostics* diagnostics) {
  PipelineLoader(proto, field, model, plan, diagnostics).Load();
}

}  // namespace meshstep
