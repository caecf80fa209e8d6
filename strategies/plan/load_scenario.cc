#include "strategies/plan/load_scenario.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/counted.h"
#include "strategies/model/hugging_face/load_hf_config.h"
#include "strategies/model/load_model.h"
#include "strategies/plan/load_framework.h"
#include "strategies/plan/load_kernel_table.h"
#include "strategies/plan/load_plan.h"
#include "strategies/plan/load_plan_parts.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

constexpr char kModelFolder[] = "strategies/models";
constexpr std::int64_t kMaxBatch = 1000000000, kMaxSequence = 100000000;
constexpr double kMaxWeight = 1e12;

constexpr int kMaxLengths = 64;

std::vector<DocumentLength> LoadLengths(const v1::Workload& proto, Diagnostics* diagnostics) {
  std::vector<DocumentLength> lengths;
  const auto add = [&](std::int64_t tokens, double weight, const std::string& field) {
    if (tokens < 1 || tokens > kMaxSequence) {
      diagnostics->Error(field, absl::StrCat("is ", tokens, ", expected 1 to ", kMaxSequence));
    }
    lengths.push_back({tokens, weight});
  };
  if (proto.document_length() != 0) {
    add(proto.document_length(), 1, "workload.document_length");
    if (proto.documents().empty()) return lengths;
    diagnostics->Error("workload.documents",
                       "is given beside document_length, expected one of them");
  }
  if (proto.documents_size() > kMaxLengths) {
    diagnostics->Error(
        "workload.documents",
        absl::StrCat("has ", proto.documents_size(), " lengths, expected at most ", kMaxLengths));
    return lengths;
  }
  for (int i = 0; i < proto.documents_size(); ++i) {
    const v1::DocumentLength& one = proto.documents(i);
    const std::string item = absl::StrCat("workload.documents[", i, "]");
    const double weight = one.has_weight() ? one.weight() : 1;
    if (!(weight > 0 && weight <= kMaxWeight)) {
      diagnostics->Error(item + ".weight",
                         absl::StrCat("is ", weight, ", expected above 0, at most ", kMaxWeight));
    }
    add(one.tokens(), weight, item + ".tokens");
  }
  return lengths;
}

void LoadDocuments(const v1::Workload& proto, Diagnostics* diagnostics, Workload* workload) {
  const std::size_t problems = diagnostics->errors().size();
  const std::vector<DocumentLength> lengths = LoadLengths(proto, diagnostics);
  if (lengths.empty()) return;
  const char* field = proto.documents().empty() ? "workload.document_length" : "workload.documents";
  if (workload->mode == Workload::Mode::kDecode) {
    diagnostics->Error(field, "is given, but DECODE has a cache for each sequence; expected none");
  }
  if (diagnostics->errors().size() != problems) return;
  std::int64_t shortest = lengths.front().tokens;
  for (const DocumentLength& one : lengths) shortest = std::min(shortest, one.tokens);
  if (shortest >= workload->sequence) return;  // every sequence is one document
  if (workload->sequence / shortest > Packing::kMaxDocuments) {
    diagnostics->Error(
        field, absl::StrCat("packs up to ", workload->sequence / shortest,
                            " documents in a sequence, expected at most ", Packing::kMaxDocuments));
    return;
  }
  workload->packing = std::make_shared<Packing>(workload->sequence, lengths);
}

// The batch in tokens, as sequences.
void LoadTokens(const std::string& text, Diagnostics* diagnostics, Workload* workload) {
  constexpr char kField[] = "workload.global_batch_tokens";
  const char suffix = text.empty() ? ' ' : absl::ascii_tolower(text.back());
  const int power = suffix == 'k' ? 1 : suffix == 'm' ? 2 : suffix == 'b' ? 3 : 0;
  double number = 0;
  const bool parsed = absl::SimpleAtod(power > 0 ? text.substr(0, text.size() - 1) : text, &number);
  if (!parsed || !(number > 0) || number > 1e17) {
    diagnostics->Error(
        kField, absl::StrCat("is \"", text, "\", expected a number of tokens, as 4194304 or 4M"));
    return;
  }
  for (const double base : {1000.0, 1024.0}) {
    const double tokens = number * std::pow(base, power);
    const double sequences = tokens / static_cast<double>(workload->sequence);
    if (sequences != std::floor(sequences) || sequences < 1 || sequences > kMaxBatch) continue;
    workload->batch = static_cast<std::int64_t>(sequences);
    diagnostics->Note(absl::StrCat("the batch of ", text, " tokens is ",
                                   Counted(workload->batch, "sequence"), " of ",
                                   FormatCount(workload->sequence), " tokens"));
    return;
  }
  diagnostics->Error(
      kField, absl::StrCat("is \"", text, "\", expected a multiple of the ", workload->sequence,
                           " tokens of a sequence, up to ", kMaxBatch, " of them"));
}

Workload LoadWorkload(const v1::Workload& proto, Diagnostics* diagnostics) {
  Workload workload{proto.global_batch_sequences(), proto.sequence_length()};
  if (proto.mode() == v1::Workload::PREFILL) workload.mode = Workload::Mode::kPrefill;
  if (proto.mode() == v1::Workload::DECODE) workload.mode = Workload::Mode::kDecode;
  if (workload.sequence < 1 || workload.sequence > kMaxSequence) {
    diagnostics->Error("workload.sequence_length",
                       absl::StrCat("is ", workload.sequence, ", expected 1 to ", kMaxSequence));
    workload.sequence = 1;
  }
  if (!proto.global_batch_tokens().empty() && workload.batch != 0) {
    diagnostics->Error("workload.global_batch_tokens",
                       "is set beside global_batch_sequences, expected one of them");
  } else if (!proto.global_batch_tokens().empty()) {
    LoadTokens(proto.global_batch_tokens(), diagnostics, &workload);
    if (workload.batch == 0) workload.batch = 1;  // told
  }
  if (workload.batch < 1 || workload.batch > kMaxBatch) {
    diagnostics->Error("workload.global_batch_sequences",
                       absl::StrCat("is ", workload.batch, ", expected 1 to ", kMaxBatch));
    workload.batch = 1;
  }
  if (proto.mode() < 0 || proto.mode() > v1::Workload::DECODE) {
    diagnostics->Error("workload.mode",
                       absl::StrCat("is ", proto.mode(), ", expected TRAIN, PREFILL or DECODE"));
  }
  LoadDocuments(proto, diagnostics, &workload);
  return workload;
}

// The library that the plan names: its own over the cluster's, that over its framework's.
void LoadPlanLibrary(const v1::Scenario& given, const v1::Plan& merged, const Catalog& catalog,
                     Cluster* cluster, Diagnostics* diagnostics) {
  const std::string& name = merged.collective_library();
  const bool own = !given.plan().collective_library().empty();
  if (name.empty() || (!own && given.cluster().has_library())) return;
  SetLibrary(name, "plan.collective_library", catalog, cluster, diagnostics);
}

// A name, no path and nothing that was written to be something else.
bool IsWord(const std::string& text) {
  return !text.ends_with(".textproto") && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ||
           c == '@';
  });
}

// Words in any case: names of types, policies, schedules, algorithms, software, presets.
void LowerWords(google::protobuf::Message* message) {
  static const std::set<std::string_view> kNotWords = {"layout", "schedule_table", "order"};
  const google::protobuf::Reflection* reflection = message->GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) continue;
    if (kNotWords.contains(field->name())) continue;
    if (!field->is_repeated()) {
      const std::string word = reflection->GetString(*message, field);
      if (IsWord(word)) reflection->SetString(message, field, absl::AsciiStrToLower(word));
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
      const std::string word = reflection->GetRepeatedString(*message, field, i);
      if (IsWord(word))
        reflection->SetRepeatedString(message, field, i, absl::AsciiStrToLower(word));
    }
  }
}

// Where one of data and fsdp is not given, it is what the other degrees leave of the devices; where
// neither is, data is.
void InferDegree(const Cluster& cluster, v1::Plan* plan, Diagnostics* diagnostics) {
  if (plan->has_mesh() || (plan->has_data() && plan->has_fsdp())) return;
  double given = 1;
  for (const auto& [set, degree] :
       {std::pair{plan->has_data(), plan->data()}, std::pair{plan->has_fsdp(), plan->fsdp()},
        std::pair{plan->has_tensor(), plan->tensor()},
        std::pair{plan->has_context(), plan->context()},
        std::pair{plan->has_pipeline(), plan->pipeline()}}) {
    if (set && degree < 1) return;  // told where degrees are loaded
    given *= set ? degree : 1;
  }
  const double rest = cluster.devices() / given;
  if (rest <= 1 || rest != std::floor(rest)) return;
  const bool shards = plan->has_data();
  shards ? plan->set_fsdp(static_cast<int>(rest)) : plan->set_data(static_cast<int>(rest));
  diagnostics->Note(absl::StrCat("plan.", shards ? "fsdp" : "data", " is ", rest,
                                 ", what the other degrees leave of ", cluster.devices(),
                                 " devices"));
}

void LowerWordsOf(v1::Plan* plan) {
  LowerWords(plan);
  if (plan->has_precision()) LowerWords(plan->mutable_precision());
  if (plan->has_kernels()) LowerWords(plan->mutable_kernels());
}

// The step of an evaluation inside a training step, of which `resolved` has presets and framework
// written out: its sequences, forward alone.
v1::Scenario EvaluationOf(const v1::Scenario& resolved) {
  v1::Scenario evaluation = resolved;
  evaluation.mutable_plan()->clear_framework();
  evaluation.mutable_plan()->clear_framework_options();
  v1::Workload* const workload = evaluation.mutable_workload();
  workload->set_mode(v1::Workload::PREFILL);
  workload->set_global_batch_sequences(workload->evaluation_sequences());
  workload->clear_evaluation_sequences();
  ClearTraining(evaluation.mutable_plan());
  return evaluation;
}

void LoadEvaluation(const v1::Scenario& resolved, const Catalog& catalog, Scenario* scenario,
                    Diagnostics* diagnostics) {
  const std::int64_t sequences = resolved.workload().evaluation_sequences();
  if (sequences < 0 || sequences > kMaxBatch || scenario->workload.forward_only()) {
    diagnostics->Error("workload.evaluation_sequences",
                       absl::StrCat("is ", sequences, ", expected 0 to ", kMaxBatch,
                                    ", and 0 in a step that goes forward alone"));
    return;
  }
  Diagnostics own;
  auto loaded = std::make_shared<Scenario>(LoadScenario(EvaluationOf(resolved), catalog, &own));
  if (own.ok()) {
    scenario->evaluation = std::move(loaded);
    return;
  }
  const std::string why(own.status().message());
  diagnostics->Error("workload.evaluation_sequences",
                     absl::StrCat("is ", sequences, ", which do not go forward alone: ",
                                  why.substr(0, why.find('\n'))));
}

}  // namespace

namespace {

// Plans of a search and rows of a table are on a few clusters, whose presets and tables take longer
// to load than the rest of a scenario. One that loads without a word is kept in the catalog.
class ClusterLoader {
 public:
  // Writes presets out in `proto`, unless it is known what they come to.
  ClusterLoader(v1::Cluster* proto, const Catalog& catalog, Diagnostics* diagnostics)
      : key_("cluster\n" + proto->SerializeAsString()),
        proto_(*proto),
        catalog_(catalog),
        diagnostics_(*diagnostics),
        known_(catalog.Kept<Loaded>(key_)) {
    if (known_ != nullptr) {
      for (const Diagnostics::Source& source : known_->sources) diagnostics->AddSource(source);
      return;
    }
    const std::size_t before = Said(), sources = diagnostics->sources().size();
    ResolveClusterPresets(proto, "cluster", catalog, diagnostics);
    said_ = Said() - before;
    sources_.assign(diagnostics->sources().begin() + static_cast<std::ptrdiff_t>(sources),
                    diagnostics->sources().end());
  }

  // Whatever is known.
  void WriteOut() {
    if (known_ != nullptr) proto_.CopyFrom(known_->resolved);
  }

  Cluster Load() {
    if (known_ != nullptr) return known_->value;
    const std::size_t before = Said();
    Cluster cluster = LoadCluster(proto_, "cluster", &diagnostics_);
    said_ += Said() - before;
    if (said_ == 0) {
      catalog_.Keep(key_, std::make_shared<const Loaded>(Loaded{proto_, cluster, sources_}));
    }
    return cluster;
  }

 private:
  struct Loaded {
    v1::Cluster resolved;
    Cluster value;
    std::vector<Diagnostics::Source> sources;
  };
  std::size_t Said() const { return diagnostics_.errors().size() + diagnostics_.notes().size(); }

  const std::string key_;
  v1::Cluster& proto_;
  const Catalog& catalog_;
  Diagnostics& diagnostics_;
  const std::shared_ptr<const Loaded> known_;
  std::vector<Diagnostics::Source> sources_;
  std::size_t said_ = 0;
};

// A model may leave out what a step needs.
void CheckSizes(const Model& model, Diagnostics* diagnostics) {
  const auto check = [diagnostics](const char* field, int value) {
    if (value >= 1) return;
    diagnostics->Error(field, absl::StrCat("is ", value, ", expected at least 1 for a step"));
  };
  const auto kinds = model.Kinds();
  const bool attends = std::ranges::any_of(kinds, [](const Layer& layer) {
    return layer.mixer == Mixer::kAttention || layer.mixer == Mixer::kAttentionAndMamba;
  });
  const bool feeds = std::ranges::any_of(kinds, [](const Layer& layer) { return layer.HasFeed(); });
  // Of kinds with a problem the model's own layer is not made.
  if (attends && (model.kinds.empty() || diagnostics->ok())) check("model.heads", model.heads);
  // Kinds of layers say themselves that they have no MLP.
  if (!feeds && model.kinds.empty()) check("model.ffn", model.ffn);
  check("model.vocab", model.vocab);
}

}  // namespace

Scenario LoadScenario(const v1::Scenario& proto, const Catalog& catalog, Diagnostics* diagnostics) {
  v1::Scenario resolved = proto;
  LowerWordsOf(resolved.mutable_plan());
  ResolveHfConfig("model", resolved.mutable_model(), diagnostics);
  catalog.Resolve(kModelFolder, "model", resolved.mutable_model(), diagnostics);
  ClusterLoader cluster(resolved.mutable_cluster(), catalog, diagnostics);
  Scenario scenario;
  scenario.name = proto.name();
  scenario.workload = LoadWorkload(resolved.workload(), diagnostics);
  // Without a model or a cluster nothing below could be told apart from their problems.
  if (!diagnostics->ok()) return scenario;
  scenario.model = LoadModel(resolved.model(), "model", diagnostics);
  scenario.cluster = cluster.Load();
  CheckSizes(scenario.model, diagnostics);
  if (!diagnostics->ok()) return scenario;
  v1::Plan* const plan = resolved.mutable_plan();
  InferDegree(scenario.cluster, plan, diagnostics);
  MergeFramework("plan", scenario.model, scenario.cluster, scenario.workload, catalog, plan,
                 diagnostics);
  LoadPlanLibrary(proto, *plan, catalog, &scenario.cluster, diagnostics);
  scenario.plan =
      LoadPlan(*plan, "plan", scenario.model, scenario.cluster, scenario.workload, diagnostics);
  if (diagnostics->ok()) {
    scenario.plan.kernel_table = std::make_shared<const KernelTable>(LoadKernelTable(
        *plan, scenario.plan, scenario.model, scenario.cluster, catalog, diagnostics));
  }
  if (diagnostics->ok()) NoteLines(scenario.cluster, scenario.plan, "plan", diagnostics);
  NoteUnread(proto.plan(), *plan, "plan", scenario.model, scenario.plan, diagnostics);
  if (diagnostics->ok() && resolved.workload().evaluation_sequences() != 0) {
    cluster.WriteOut();
    LoadEvaluation(resolved, catalog, &scenario, diagnostics);
  }
  scenario.notes = diagnostics->notes();
  return scenario;
}

v1::Scenario ExpandScenario(const v1::Scenario& proto, const Catalog& catalog) {
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(proto, catalog, &diagnostics);
  CHECK(diagnostics.ok()) << std::string(diagnostics.status().message());
  v1::Scenario expanded = proto;
  ResolveHfConfig("model", expanded.mutable_model(), &diagnostics);
  catalog.Resolve(kModelFolder, "model", expanded.mutable_model(), &diagnostics);
  ResolveClusterPresets(expanded.mutable_cluster(), "cluster", catalog, &diagnostics);
  // The library's tables follow from its name or the chip's vendor.
  if (proto.cluster().has_library()) {
    *expanded.mutable_cluster()->mutable_library() = proto.cluster().library();
  } else {
    expanded.mutable_cluster()->clear_library();
  }
  ExpandPlan(scenario.plan, expanded.mutable_plan());
  if (scenario.workload.forward_only()) {
    v1::Precision* precision = expanded.mutable_plan()->mutable_precision();
    precision->clear_gradients();
    precision->clear_reduce();
    precision->clear_optimizer();
  } else {
    expanded.mutable_plan()->mutable_precision()->clear_kv_cache();
  }
  return expanded;
}

}  // namespace meshstep
