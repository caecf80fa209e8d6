// The data files that ship with meshstep: each parses, is named as its file, states its sources and
// holds numbers that can be; the presets that the interface promises are all there.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "meshstep/v1/chip.pb.h"
#include "meshstep/v1/cluster.pb.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/overlay.h"
#include "sim/base/proto_file.h"
#include "strategies/model/load_model.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {
namespace {

using ::testing::IsSupersetOf;

constexpr char kChips[] = "topologies/chips";
constexpr char kClusters[] = "topologies/clusters";
constexpr char kModels[] = "strategies/models";

std::filesystem::path Folder(const std::string& folder) {
  return std::filesystem::path(MESHSTEP_SOURCE_DIR) / folder;
}

std::vector<std::string> Names(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(Folder(folder))) {
    EXPECT_EQ(entry.path().extension(), ".textproto") << entry.path();
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Text(const std::string& folder, const std::string& name) {
  std::ifstream file(Folder(folder) / (name + ".textproto"));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

template <typename Message>
Message Load(const std::string& folder, const std::string& name) {
  Message message;
  const Status read = Catalog().Read(folder, name, &message);
  EXPECT_TRUE(read.ok()) << read;
  EXPECT_EQ(message.name(), name);
  EXPECT_FALSE(message.sources().empty()) << name << " states no source";
  return message;
}

bool Exists(const std::string& folder, const std::string& name) {
  return std::filesystem::exists(Folder(folder) / (name + ".textproto"));
}

void CheckHeader(const std::string& folder, const std::string& file, const std::string& message) {
  for (const std::string& name : Names(folder)) {
    EXPECT_EQ(Text(folder, name)
                  .rfind("# proto-file: meshstep/v1/" + file + "\n# proto-message: meshstep.v1." +
                             message + "\n",
                         0),
              0u)
        << name;
  }
}

TEST(DataFiles, HeadersNameTheMessage) {
  CheckHeader(kChips, "chip.proto", "Chip");
  CheckHeader(kClusters, "cluster.proto", "Cluster");
  CheckHeader(kModels, "model.proto", "Model");
  CheckHeader("strategies/frameworks", "framework.proto", "Framework");
}

TEST(DataFiles, PromisedChipsAreThere) {
  EXPECT_THAT(
      Names(kChips),
      IsSupersetOf({"tpu-v3",    "tpu-v4",    "tpu-v5e",   "tpu-v5p",   "tpu-v6e",  "tpu-v7x",
                    "a100-40gb", "a100-80gb", "h100-sxm",  "h200",      "h800",     "h20",
                    "b200",      "gb200",     "b300",      "gb300",     "mi300x",   "mi355x",
                    "trainium2", "gaudi3",    "gaudi2",    "h100-pcie", "h100-nvl", "mi325x",
                    "trainium1", "vr200",     "trainium3", "tpu-8t"}));
}

TEST(DataFiles, PromisedClustersAreThere) {
  EXPECT_THAT(Names(kClusters),
              IsSupersetOf({"tpu-v3", "tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu-v7x",
                            "dgx-a100", "dgx-h100", "dgx-h200", "dgx-b200", "gb200-nvl72",
                            "gb300-nvl72", "hgx-h800-deepseek", "meta-24k-h100", "mi300x-node"}));
  EXPECT_THAT(
      Names(kClusters),
      IsSupersetOf({"trainium2", "gaudi3-node", "hgx-h20", "isambard-gh200", "gcp-a3-ultra",
                    "gcp-a4x", "aws-p6e-gb200", "aws-p6-b300", "azure-nd-h200", "azure-nd-gb200",
                    "oci-gb200", "oci-gb300", "pcie-h100", "vr200-nvl72", "tpu-8t"}));
}

TEST(DataFiles, PromisedModelsAreThere) {
  EXPECT_THAT(
      Names(kModels),
      IsSupersetOf(
          {"gpt2-xl",       "gpt3-175b",     "megatron-1.7b", "megatron-3.6b",    "megatron-7.5b",
           "megatron-18b",  "megatron-22b",  "megatron-39b",  "megatron-76b",     "megatron-145b",
           "megatron-310b", "megatron-530b", "megatron-1t",   "turing-530b",      "palm-540b",
           "llama-1-7b",    "llama-1-13b",   "llama-1-33b",   "llama-1-65b",      "llama-2-7b",
           "llama-2-13b",   "llama-2-70b",   "llama-3-8b",    "llama-3-70b",      "llama-3-405b",
           "mistral-7b",    "gemma-7b",      "gemma-2-27b",   "qwen-2-72b",       "qwen-3-30b-a3b",
           "mixtral-8x7b",  "mixtral-8x22b", "deepseek-v2",   "qwen-3-235b-a22b", "deepseek-v3",
           "gpt-oss-20b",   "gpt-oss-120b"}));
  EXPECT_THAT(Names(kModels), IsSupersetOf({"llama-4-scout-17b-16e",
                                            "llama-4-maverick-17b-128e",
                                            "qwen-3-32b",
                                            "qwen-3-coder-480b-a35b",
                                            "kimi-k2",
                                            "glm-4.5",
                                            "glm-4.5-air",
                                            "gemma-3-27b",
                                            "grok-2",
                                            "ling-1t",
                                            "dbrx",
                                            "seed-oss-36b",
                                            "minimax-m2",
                                            "olmo-2-32b",
                                            "bloom-176b",
                                            "nemotron-3-nano-30b-a3b",
                                            "nemotron-3-super-120b-a12b",
                                            "nemotron-3-ultra-550b-a55b",
                                            "qwen-3-next-80b-a3b",
                                            "kimi-linear-48b-a3b",
                                            "minimax-01-456b",
                                            "deepseek-v3.2",
                                            "deepseek-v4-flash",
                                            "deepseek-v4-pro",
                                            "glm-5-744b-a40b",
                                            "bamba-9b",
                                            "jamba-1.5-mini-52b"}));
}

const std::vector<std::string>& Dtypes() {
  static const std::vector<std::string> dtypes{"fp32", "tf32", "bf16", "fp16",
                                               "fp8",  "int8", "int4", "fp4"};
  return dtypes;
}

void CheckRates(const std::string& name, const v1::Rates& rates) {
  std::vector<std::string> seen;
  for (const v1::MatmulPeak& peak : rates.matmul()) {
    EXPECT_THAT(Dtypes(), ::testing::Contains(peak.dtype())) << name;
    EXPECT_THAT(seen, ::testing::Not(::testing::Contains(peak.dtype()))) << name;
    seen.push_back(peak.dtype());
    // Between a vector unit of 2018 and a rack: outside, a factor of 1000 was lost.
    EXPECT_GT(peak.flops_per_s(), 1e12) << name << " " << peak.dtype();
    EXPECT_LT(peak.flops_per_s(), 1e17) << name << " " << peak.dtype();
  }
  EXPECT_THAT(seen, ::testing::Contains("bf16")) << name;
  EXPECT_GT(rates.hbm_bytes(), 10'000'000'000) << name;
  EXPECT_LT(rates.hbm_bytes(), 1'000'000'000'000) << name;
  EXPECT_GT(rates.hbm_bytes_per_s(), 5e11) << name;
  EXPECT_LT(rates.hbm_bytes_per_s(), 3e13) << name;
  EXPECT_GT(rates.link_gbytes_per_s(), 10) << name;
  EXPECT_LE(rates.link_gbytes_per_s(), 1800) << name;
}

TEST(DataFiles, ChipRatesArePossible) {
  for (const std::string& name : Names(kChips)) {
    const v1::Chip chip = Load<v1::Chip>(kChips, name);
    CheckRates(name, chip.datasheet());
    if (chip.has_book()) CheckRates(name, chip.book());
    EXPECT_GE(chip.compute_units(), 1) << name;
    EXPECT_NE(chip.interconnect().kind(), v1::Interconnect::KIND_UNSPECIFIED) << name;
    EXPECT_GT(chip.interconnect().usable_fraction(), 0) << name;
    EXPECT_LE(chip.interconnect().usable_fraction(), 1) << name;
    EXPECT_GT(chip.interconnect().latency_ns(), 0) << name;
    if (chip.interconnect().kind() != v1::Interconnect::TORUS) continue;
    EXPECT_EQ(chip.interconnect().pod_size(), chip.interconnect().dimensions()) << name;
    int chips = 1;
    for (const int size : chip.interconnect().pod()) chips *= size;
    EXPECT_EQ(chips, chip.interconnect().domain_chips()) << name;
  }
}

// A measured rate cannot be above the peak, and every format with a peak has a calibration, but for
// fp32, which runs on the vector units.
TEST(DataFiles, ChipCalibrationsArePossible) {
  for (const std::string& name : Names(kChips)) {
    const v1::Chip chip = Load<v1::Chip>(kChips, name);
    EXPECT_FALSE(chip.calibration().sources().empty()) << name;
    std::vector<std::string> calibrated{"fp32"};
    for (const v1::MatmulCalibration& matmul : chip.calibration().matmul()) {
      calibrated.push_back(matmul.dtype());
      EXPECT_GT(matmul.peak_fraction(), 0) << name;
      EXPECT_LE(matmul.peak_fraction(), 1) << name;
      EXPECT_GT(matmul.hbm_fraction(), 0) << name;
      EXPECT_LE(matmul.hbm_fraction(), 1) << name;
      EXPECT_GT(matmul.launch_ns(), 0) << name;
      EXPECT_TRUE(matmul.choose_tile() || (matmul.tile_m() >= 1 && matmul.tile_n() >= 1)) << name;
      if (!matmul.has_sustained_fraction()) continue;
      EXPECT_GT(matmul.sustained_fraction(), 0) << name;
      EXPECT_LE(matmul.sustained_fraction(), 1) << name;
    }
    for (const v1::MatmulPeak& peak : chip.datasheet().matmul()) {
      EXPECT_THAT(calibrated, ::testing::Contains(peak.dtype())) << name;
    }
    for (const v1::AttentionCalibration& attention : chip.calibration().attention()) {
      EXPECT_GT(attention.peak_fraction(), 0) << name;
      EXPECT_LE(attention.peak_fraction(), 1) << name;
      EXPECT_GT(attention.sequence_length(), 0) << name;
    }
  }
}

// "Every number has its source beside it": a line of a rate set that holds a number has a comment.
TEST(DataFiles, EveryRateHasItsSourceBesideIt) {
  for (const std::string& name : Names(kChips)) {
    std::istringstream text(Text(kChips, name));
    bool in_rates = false;
    for (std::string line; std::getline(text, line);) {
      if (line == "datasheet {" || line == "book {") in_rates = true;
      if (line == "}") in_rates = false;
      if (!in_rates || line.find(": ") == std::string::npos) continue;
      EXPECT_NE(line.find("  # "), std::string::npos) << name << ": " << line;
    }
  }
}

TEST(DataFiles, ClustersNameChipsThatExist) {
  for (const std::string& name : Names(kClusters)) {
    const v1::Cluster cluster = Load<v1::Cluster>(kClusters, name);
    EXPECT_FALSE(cluster.description().empty()) << name;
    ASSERT_TRUE(Exists(kChips, cluster.chip().preset())) << name;
    v1::Chip chip = Load<v1::Chip>(kChips, cluster.chip().preset());
    Overlay(cluster.chip(), &chip);
    if (chip.interconnect().kind() == v1::Interconnect::TORUS) {
      std::string pod;
      for (const int size : chip.interconnect().pod()) {
        pod += (pod.empty() ? "" : "x") + std::to_string(size);
      }
      EXPECT_EQ(cluster.slice(), pod) << name << ": the default slice is the full pod";
      continue;
    }
    // As the chip's file says, or as the cluster does: other boards.
    const v1::Interconnect& own = cluster.chip().interconnect();
    const int domain =
        own.domain_chips() > 0 ? own.domain_chips() : chip.interconnect().domain_chips();
    EXPECT_EQ(cluster.nodes().chips_per_node(), domain) << name;
    EXPECT_EQ(cluster.chips() % cluster.nodes().chips_per_node(), 0) << name;
    // Clouds give a node fewer NICs than its chips could use.
    EXPECT_LE(cluster.nodes().nic_gbytes_per_s() * cluster.nodes().nics_per_node(),
              chip.datasheet().scale_out_gbytes_per_s() * cluster.nodes().chips_per_node())
        << name << ": NICs of a node against the scale-out rate of its chips";
  }
}

// Each file says how far it can be trusted; what is announced for the years to come and what has no
// measured matmul does not say MEASURED.
TEST(DataFiles, ConfidenceIsStated) {
  for (const std::string& name : Names(kChips)) {
    EXPECT_NE(Text(kChips, name).find("\nconfidence: "), std::string::npos) << name;
    const v1::Chip chip = Load<v1::Chip>(kChips, name);
    EXPECT_EQ(chip.confidence() == v1::Chip::ANNOUNCED, name == "vr200" || name == "tpu-8t")
        << name;
    if (Text(kChips, name).find("nothing measured") == std::string::npos) continue;
    EXPECT_EQ(chip.confidence(), v1::Chip::DATA_SHEET) << name;
  }
  for (const std::string& name : Names(kClusters)) {
    EXPECT_NE(Text(kClusters, name).find("\nconfidence: "), std::string::npos) << name;
    const v1::Cluster cluster = Load<v1::Cluster>(kClusters, name);
    const v1::Chip chip = Load<v1::Chip>(kChips, cluster.chip().preset());
    EXPECT_EQ(cluster.confidence() == v1::Chip::ANNOUNCED, chip.confidence() == v1::Chip::ANNOUNCED)
        << name;
  }
}

TEST(DataFiles, TiersGrowToTheWholeCluster) {
  for (const std::string& name : Names(kClusters)) {
    const v1::Cluster cluster = Load<v1::Cluster>(kClusters, name);
    int nodes = 1;
    for (const v1::Tier& tier : cluster.nodes().tiers()) {
      EXPECT_NE(nodes, 0) << name << ": nothing lies above the tier of all nodes";
      if (tier.nodes() != 0) {
        EXPECT_GT(tier.nodes(), nodes) << name << " " << tier.name();
        EXPECT_EQ(tier.nodes() % nodes, 0) << name << " " << tier.name();
      }
      EXPECT_GE(tier.oversubscription(), 1) << name << " " << tier.name();
      nodes = tier.nodes();
    }
    if (cluster.nodes().tiers().empty()) continue;
    EXPECT_EQ(nodes, 0) << name << ": the highest tier joins all nodes";
  }
}

// The taper of arXiv 2407.21783 §3.3.1: 3,072 GPUs under full bisection, 1:7 above.
TEST(DataFiles, MetaClusterIsTaperedAboveItsPods) {
  const v1::Cluster meta = Load<v1::Cluster>(kClusters, "meta-24k-h100");
  EXPECT_EQ(meta.chips(), 24576);
  const v1::Tier& pod = meta.nodes().tiers(1);
  EXPECT_EQ(pod.nodes() * meta.nodes().chips_per_node(), 3072);
  EXPECT_EQ(pod.oversubscription(), 7);
}

TEST(DataFiles, ModelsAreWhole) {
  for (const std::string& name : Names(kModels)) {
    const v1::Model model = Load<v1::Model>(kModels, name);
    EXPECT_NE(Text(kModels, name).find("# Published parameters: "), std::string::npos) << name;
    // One that builds on another leaves the rest to it; kinds of layers are checked as they load.
    if (!model.preset().empty()) continue;
    EXPECT_GT(model.layers(), 0) << name;
    EXPECT_GT(model.vocab(), 0) << name;
    if (model.layer_kinds_size() > 0) continue;
    ASSERT_GT(model.heads(), 0) << name;
    const int kv_heads = model.has_kv_heads() ? model.kv_heads() : model.heads();
    ASSERT_GT(kv_heads, 0) << name;
    EXPECT_EQ(model.heads() % kv_heads, 0) << name;
    EXPECT_TRUE(model.has_head_dim() || model.hidden() % model.heads() == 0) << name;
    const bool dense_layers =
        !model.has_moe() || model.moe().dense_layers() > 0 || model.moe().layer_period() > 1;
    EXPECT_EQ(model.ffn() > 0, dense_layers) << name << ": ffn is the width of dense layers";
    if (!model.has_moe()) continue;
    EXPECT_GT(model.moe().expert_ffn(), 0) << name;
    EXPECT_GE(model.moe().experts(), model.moe().experts_per_token()) << name;
  }
}

// The number after `words` in the comment of a model's file, 0 if there is none: "671e9", "55e10" or
// "671,026,419,200"; *half_unit is half of its last digit.
double CountAfter(const std::string& text, const std::string& words, double* half_unit) {
  const std::size_t at = text.find(words);
  if (at == std::string::npos) return 0;
  std::string digits;
  int decimals = 0;
  bool point = false;
  std::size_t i = at + words.size();
  for (; i < text.size() && std::string("0123456789,.").find(text[i]) != std::string::npos; ++i) {
    // A full stop ends a sentence.
    if (text[i] == '.' && !std::isdigit(static_cast<unsigned char>(text[i + 1]))) break;
    point = point || text[i] == '.';
    if (point && text[i] != '.') ++decimals;
    if (text[i] != ',') digits += text[i];
  }
  const bool power = text[i] == 'e' && std::isdigit(static_cast<unsigned char>(text[i + 1]));
  const double unit = power ? std::pow(10, std::stoi(text.substr(i + 1, 2))) : 1;
  *half_unit = unit * std::pow(10, -decimals) / 2;
  return std::stod(digits) * unit;
}

// What the comment of each file says of published parameters and of what its dimensions give.
TEST(DataFiles, ModelsHaveThePublishedParameters) {
  for (const std::string& name : Names(kModels)) {
    std::string text = Text(kModels, name);
    for (std::size_t at = 0; (at = text.find("\n# ", at)) != std::string::npos;) {
      text.replace(at, 3, " ");
    }
    const v1::Model message = Load<v1::Model>(kModels, name);
    Diagnostics diagnostics;
    const Model model = LoadModel(message, name, &diagnostics);
    ASSERT_TRUE(diagnostics.ok()) << name << ": " << diagnostics.status();
    const ParameterCounts counts = ModelArithmetic(model, TokenShape()).Parameters();
    double half_unit = 0;
    const double published = CountAfter(text, "Published parameters: ", &half_unit);
    EXPECT_NEAR(counts.total, published, std::max(half_unit, 1e-3 * published)) << name;
    EXPECT_EQ(counts.total, CountAfter(text, "dimensions give ", &half_unit)) << name;
    const double active = CountAfter(text, ", of which ", &half_unit);
    EXPECT_EQ(counts.active, active > 0 ? active : counts.total) << name;
  }
}

}  // namespace
}  // namespace meshstep
