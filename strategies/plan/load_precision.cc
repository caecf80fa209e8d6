#include "strategies/plan/load_precision.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "meshstep/v1/plan.pb.h"
#include "strategies/plan/optimizers.h"

namespace meshstep {
namespace {

class PrecisionLoader {
 public:
  PrecisionLoader(const v1::Precision& proto, const std::string& field, const Chip& chip,
                  Diagnostics* diagnostics)
      : proto_(proto), field_(field), chip_(chip), diagnostics_(diagnostics) {}

  Precision Load();

 private:
  void Error(const char* field, const std::string& problem) {
    diagnostics_->Error(absl::StrCat(field_, ".", field), problem);
  }
  Dtype LoadDtype(const char* name, const std::string& value, Dtype unset);
  void CheckRate(const char* field, Dtype dtype);
  void LoadActivations();
  void LoadScaling();
  void LoadGather();
  void LoadKeptMlp();
  void LoadWide();
  void LoadOptimizer();
  bool Narrow() const { return SizeOf(out_.compute) < Bytes(2); }

  const v1::Precision& proto_;
  const std::string field_;
  const Chip& chip_;
  Diagnostics* diagnostics_;
  Precision out_;
};

std::string Quoted(std::string_view name) { return absl::StrCat("\"", std::string(name), "\""); }

Dtype PrecisionLoader::LoadDtype(const char* name, const std::string& value, Dtype unset) {
  if (value.empty()) return unset;
  const StatusOr<Dtype> dtype = ParseDtype(value);
  if (dtype.ok()) return *dtype;
  Error(name, std::string(dtype.status().message()));
  return unset;
}

void PrecisionLoader::CheckRate(const char* field, Dtype dtype) {
  const Rates& rates = chip_.datasheet;
  if (rates.peak(dtype).value() > 0) return;
  std::vector<std::string> known;
  for (int d = 0; d < kDtypes; ++d) {
    if (rates.peak(static_cast<Dtype>(d)).value() > 0) {
      known.emplace_back(NameOf(static_cast<Dtype>(d)));
    }
  }
  Error(field, absl::StrCat("is ", Quoted(NameOf(dtype)), ", which ", chip_.name,
                            " has no matrix rate for; it has ", absl::StrJoin(known, ", ")));
}

void PrecisionLoader::LoadActivations() {
  const Dtype unset = Narrow() ? Dtype::kBf16 : out_.compute;
  out_.activations = LoadDtype("activations", proto_.activations(), unset);
  if (!Narrow() && out_.activations != out_.compute) {
    Error("activations", absl::StrCat("is ", Quoted(NameOf(out_.activations)), " with compute ",
                                      Quoted(NameOf(out_.compute)),
                                      ", expected the same: they differ only beside 8- or 4-bit "
                                      "compute"));
    out_.activations = out_.compute;
  } else if (SizeOf(out_.activations) < Bytes(2)) {
    Error("activations", absl::StrCat("is ", Quoted(NameOf(out_.activations)),
                                      ", expected bf16, fp16, tf32 or fp32: only matmuls of the "
                                      "blocks run in 8 or 4 bits"));
    out_.activations = unset;
  } else if (out_.activations != out_.compute) {
    CheckRate("activations", out_.activations);
  }
}

void PrecisionLoader::LoadScaling() {
  const bool four_bits = SizeOf(out_.compute) < Bytes(1);
  out_.scaling = four_bits ? Scaling::kNvfp4 : Scaling::kTensor;
  if (proto_.scaling().empty()) return;
  if (!Narrow()) {
    Error("scaling", absl::StrCat("is ", Quoted(proto_.scaling()), " with compute ",
                                  Quoted(NameOf(out_.compute)),
                                  ", expected none: only 8- and 4-bit compute has scales"));
    return;
  }
  using List = std::vector<Scaling>;
  const List legal = four_bits ? List{Scaling::kNvfp4, Scaling::kMx}
                               : List{Scaling::kTensor, Scaling::kCurrent, Scaling::kChannel,
                                      Scaling::kBlock, Scaling::kMx};
  std::vector<std::string> names;
  for (const Scaling scaling : legal) {
    names.emplace_back(NameOf(scaling));
    if (proto_.scaling() != NameOf(scaling)) continue;
    out_.scaling = scaling;
    return;
  }
  Error("scaling",
        absl::StrCat("is ", Quoted(proto_.scaling()), " with compute ",
                     Quoted(NameOf(out_.compute)), ", expected ", absl::StrJoin(names, " or ")));
}

void PrecisionLoader::LoadGather() {
  out_.gather = LoadDtype("gather", proto_.gather(), out_.compute);
  if (SizeOf(out_.gather) >= SizeOf(out_.compute)) return;
  Error("gather", absl::StrCat("is ", Quoted(NameOf(out_.gather)),
                               ", expected a type no narrower "
                               "than compute, ",
                               Quoted(NameOf(out_.compute))));
  out_.gather = out_.compute;
}

void PrecisionLoader::LoadKeptMlp() {
  out_.kept_mlp = LoadDtype("kept_mlp", proto_.kept_mlp(), out_.activations);
  if (SizeOf(out_.kept_mlp) <= SizeOf(out_.activations)) return;
  Error("kept_mlp", absl::StrCat("is ", Quoted(NameOf(out_.kept_mlp)),
                                 ", expected a type no wider than activations, ",
                                 Quoted(NameOf(out_.activations))));
  out_.kept_mlp = out_.activations;
}

void PrecisionLoader::LoadWide() {
  // A range of layers in a wide type has them wide anyway.
  std::vector<OpRole> products = OpRolesNamed("products");
  products.insert(products.end(), {OpRole::kExpertsIn, OpRole::kExpertsOut});
  const auto is_product = [&](OpRole role) {
    return std::ranges::find(products, role) != products.end();
  };
  for (const auto part : absl::StrSplit(proto_.wide(), ',', absl::SkipWhitespace())) {
    const std::string name(absl::StripAsciiWhitespace(part));
    const std::vector<OpRole> roles = OpRolesNamed(name);
    if (roles.empty() || !std::ranges::all_of(roles, is_product)) {
      Error("wide", absl::StrCat("has ", Quoted(name), ", expected roles of products such as ",
                                 "attention-output, mlp-out or experts-in, with commas"));
    }
    out_.wide.insert(out_.wide.end(), roles.begin(), roles.end());
  }
}

void PrecisionLoader::LoadOptimizer() {
  const std::string& name = proto_.optimizer().empty() ? out_.optimizer : proto_.optimizer();
  const OptimizerKind* kind = FindOptimizer(name);
  if (kind == nullptr) {
    std::vector<std::string> names;
    for (const OptimizerKind& one : Optimizers()) names.emplace_back(one.name);
    Error("optimizer",
          absl::StrCat("is ", Quoted(name), ", expected one of ", absl::StrJoin(names, ", ")));
    return;
  }
  if (kind->master == OptimizerKind::Master::kRemainder && out_.parameters != Dtype::kBf16) {
    Error("optimizer",
          absl::StrCat("is ", Quoted(name), " with parameters ", Quoted(NameOf(out_.parameters)),
                       ", expected bf16: the first half of an fp32 value"));
    return;
  }
  out_.optimizer = name;
}

Precision PrecisionLoader::Load() {
  out_.compute = LoadDtype("compute", proto_.compute(), Dtype::kBf16);
  out_.parameters = LoadDtype("parameters", proto_.parameters(), Dtype::kBf16);
  out_.gradients = LoadDtype("gradients", proto_.gradients(), Dtype::kFp32);
  out_.reduce = LoadDtype("reduce", proto_.reduce(), out_.gradients);
  CheckRate("compute", out_.compute);
  LoadActivations();
  LoadScaling();
  LoadGather();
  LoadKeptMlp();
  LoadWide();
  LoadOptimizer();
  return out_;
}

}  // namespace

Precision LoadPrecision(const v1::Precision& proto, const std::string& field, const Chip& chip,
                        Diagnostics* diagnostics) {
  return PrecisionLoader(proto, field, chip, diagnostics).Load();
}

void ExpandPrecision(const Precision& precision, v1::Precision* proto) {
  proto->set_compute(std::string(NameOf(precision.compute)));
  proto->set_activations(std::string(NameOf(precision.activations)));
  if (precision.quantised()) proto->set_scaling(std::string(NameOf(precision.scaling)));
  proto->set_parameters(std::string(NameOf(precision.parameters)));
  proto->set_gather(std::string(NameOf(precision.gather)));
  proto->set_gradients(std::string(NameOf(precision.gradients)));
  proto->set_reduce(std::string(NameOf(precision.reduce)));
  proto->set_optimizer(precision.optimizer);
  proto->set_kv_cache(std::string(NameOf(precision.kv_cache)));
  if (precision.kept_mlp != precision.activations) {
    proto->set_kept_mlp(std::string(NameOf(precision.kept_mlp)));
  }
  std::vector<std::string> wide;
  for (const OpRole role : precision.wide) wide.emplace_back(NameOf(role));
  if (!wide.empty()) proto->set_wide(absl::StrJoin(wide, ", "));
}

}  // namespace meshstep
