#include "sim/calibration/nccl_log.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>
#include <sstream>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

constexpr int kMostRanks = 1 << 17;
constexpr double kMostBytes = 1e15, kMostMicroseconds = 1e9;
// Bandwidths are printed with two decimals; above 10 GB/s their ratio holds to this part.
constexpr double kTellingBandwidth = 10, kRatioTolerance = 0.02;

struct Test {
  const char* name;
  Collective collective;
};
constexpr Test kTests[] = {{"all_reduce_perf", Collective::kAllReduce},
                           {"all_gather_perf", Collective::kAllGather},
                           {"reduce_scatter_perf", Collective::kReduceScatter},
                           {"alltoall_perf", Collective::kAllToAll}};

class LogReader {
 public:
  LogReader(const std::string& name, int ranks) : name_(name), given_ranks_(ranks) {}

  Status Read(const std::string& content);
  StatusOr<NcclLog> Finish();

 private:
  Status Error(const std::string& problem) const {
    return InvalidInput(absl::StrCat(name_, ":", line_, ": ", problem));
  }
  Status ReadLine(const std::string& line);
  Status ReadComment(const std::vector<std::string>& words);
  Status ReadRow(const std::vector<std::string>& words);
  // A number of the row at the column, counted from the header.
  StatusOr<double> Number(const std::vector<std::string>& words, std::size_t column,
                          const char* what, double most) const;
  void FindTest(const std::string& text);
  Status CheckBusBandwidths() const;

  struct Row {
    int line = 0;
    double bytes = 0, seconds = 0, algorithm_bandwidth = 0, bus_bandwidth = 0;
  };
  const std::string name_;
  const int given_ranks_;
  int line_ = 0, header_line_ = 0;
  std::size_t time_column_ = 0;
  bool counts_wrong_ = false;  // tests before 2.13 print a deviation there
  std::set<int> ranks_;
  std::set<std::string> hosts_;
  const Test* test_ = nullptr;
  std::vector<Row> rows_;
  int ranks_found_ = 0;
};

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, 64)), "\"");
}

void LogReader::FindTest(const std::string& text) {
  for (const Test& test : kTests) {
    if (text.find(test.name) != std::string::npos) test_ = &test;
  }
}

Status LogReader::Read(const std::string& content) {
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    ++line_;
    RETURN_IF_ERROR(ReadLine(line));
  }
  return absl::OkStatus();
}

Status LogReader::ReadLine(const std::string& line) {
  if (test_ == nullptr) FindTest(line);
  // mpirun --tag-output
  static constexpr std::string_view kTag = "]<stdout>:";
  const std::size_t tag = line.starts_with("[") ? line.find(kTag) : std::string::npos;
  std::istringstream text(tag == std::string::npos ? line : line.substr(tag + kTag.size()));
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  if (words.empty()) return absl::OkStatus();
  if (words.front().front() == '#') {
    if (words.front() == "#") words.erase(words.begin());
    return words.empty() ? absl::OkStatus() : ReadComment(words);
  }
  if (header_line_ == 0 || std::isdigit(static_cast<unsigned char>(words.front().front())) == 0) {
    return absl::OkStatus();
  }
  return ReadRow(words);
}

Status LogReader::ReadComment(const std::vector<std::string>& words) {
  if (words.front() == "Rank" && words.size() > 1) {
    int rank = 0;
    if (!absl::SimpleAtoi(words[1], &rank) || rank < 0 || rank >= kMostRanks) {
      return Error(
          absl::StrCat("the rank is ", Quoted(words[1]), ", expected 0 to ", kMostRanks - 1));
    }
    if (!ranks_.insert(rank).second) {
      return Error(absl::StrCat("rank ", rank, " a second time, expected one run in a file"));
    }
    const auto on = std::find(words.begin(), words.end(), "on");
    if (on != words.end() && on + 1 != words.end()) hosts_.insert(*(on + 1));
  }
  const auto time = std::find(words.begin(), words.end(), "time");
  if (words.front() != "size" || time == words.end()) return absl::OkStatus();
  if (header_line_ != 0) {
    return Error(absl::StrCat("a second header (the first is on line ", header_line_,
                              "), expected one run in a file"));
  }
  header_line_ = line_;
  time_column_ = static_cast<std::size_t>(time - words.begin());
  counts_wrong_ = time_column_ + 3 < words.size() && words[time_column_ + 3] == "#wrong";
  return absl::OkStatus();
}

StatusOr<double> LogReader::Number(const std::vector<std::string>& words, std::size_t column,
                                   const char* what, double most) const {
  double value = 0;
  if (!absl::SimpleAtod(words[column], &value) || !(value >= 0 && value <= most)) {
    return Error(
        absl::StrCat(what, " is ", Quoted(words[column]), ", expected a number of 0 to ", most));
  }
  return value;
}

Status LogReader::ReadRow(const std::vector<std::string>& words) {
  if (words.size() < time_column_ + 4) {
    return Error(absl::StrCat("has ", words.size(), " columns, expected at least ",
                              time_column_ + 4, " as the header on line ", header_line_));
  }
  Row row;
  row.line = line_;
  ASSIGN_OR_RETURN(row.bytes, Number(words, 0, "size", kMostBytes));
  ASSIGN_OR_RETURN(const double us, Number(words, time_column_, "time", kMostMicroseconds));
  ASSIGN_OR_RETURN(row.algorithm_bandwidth, Number(words, time_column_ + 1, "algbw", 1e9));
  ASSIGN_OR_RETURN(row.bus_bandwidth, Number(words, time_column_ + 2, "busbw", 1e9));
  const std::string& wrong = words[time_column_ + 3];
  double errors = 0;
  if (counts_wrong_ && wrong != "N/A" && (!absl::SimpleAtod(wrong, &errors) || errors != 0)) {
    return Error(absl::StrCat("#wrong is ", Quoted(wrong), ", expected 0 or N/A"));
  }
  if (row.bytes == 0) return absl::OkStatus();  // fewer elements than ranks
  if (us == 0) return Error("time is 0, expected more");
  row.seconds = us * 1e-6;
  rows_.push_back(row);
  return absl::OkStatus();
}

// nccl-tests, doc/PERFORMANCE.md: busbw = algbw * 2 (p - 1) / p for an all-reduce, (p - 1) / p for
// the others here.
Status LogReader::CheckBusBandwidths() const {
  const double p = ranks_found_;
  const double factor = (test_->collective == Collective::kAllReduce ? 2 : 1) * (p - 1) / p;
  for (const Row& row : rows_) {
    if (std::min(row.bus_bandwidth, row.algorithm_bandwidth) < kTellingBandwidth) continue;
    const double ratio = row.bus_bandwidth / row.algorithm_bandwidth;
    if (std::abs(ratio / factor - 1) <= kRatioTolerance) continue;
    return InvalidInput(absl::StrCat(name_, ":", row.line, ": busbw is ", ratio,
                                     " of algbw, expected ", factor, " for ", test_->name, " on ",
                                     ranks_found_, " ranks"));
  }
  return absl::OkStatus();
}

StatusOr<NcclLog> LogReader::Finish() {
  if (header_line_ == 0) {
    return InvalidInput(name_ + ": has no header \"# size count type ... time\" of nccl-tests");
  }
  if (rows_.empty()) return InvalidInput(name_ + ": has no rows of measured sizes");
  if (test_ == nullptr) FindTest(std::filesystem::path(name_).filename().string());
  if (test_ == nullptr) {
    std::string names;
    for (const Test& test : kTests) absl::StrAppend(&names, names.empty() ? "" : ", ", test.name);
    return InvalidInput(absl::StrCat(name_, ": does not say which test ran, expected one of ",
                                     names, " in it or in its name"));
  }
  ranks_found_ = ranks_.empty() ? given_ranks_ : static_cast<int>(ranks_.size());
  if (!ranks_.empty() && *ranks_.rbegin() + 1 != ranks_found_) {
    return InvalidInput(absl::StrCat(name_, ": lists ", ranks_found_, " ranks up to rank ",
                                     *ranks_.rbegin(), ", expected all of them"));
  }
  if (ranks_found_ == 0) {
    return InvalidInput(name_ + ": lists no \"# Rank\", expected --ranks=N");
  }
  if (given_ranks_ != 0 && given_ranks_ != ranks_found_) {
    return InvalidInput(
        absl::StrCat(name_, ": lists ", ranks_found_, " ranks, but --ranks is ", given_ranks_));
  }
  if (ranks_found_ < 2) return InvalidInput(name_ + ": is of 1 rank, expected at least 2");
  RETURN_IF_ERROR(CheckBusBandwidths());
  NcclLog log{.collective = test_->collective,
              .ranks = ranks_found_,
              .hosts = std::max(1, static_cast<int>(hosts_.size())),
              .samples = {}};
  for (const Row& row : rows_) {
    log.samples.push_back({ranks_found_, Bytes(row.bytes), Seconds(row.seconds)});
  }
  return log;
}

}  // namespace

StatusOr<NcclLog> ParseNcclLog(const std::string& name, const std::string& content, int ranks) {
  LogReader reader(name, ranks);
  RETURN_IF_ERROR(reader.Read(content));
  return reader.Finish();
}

}  // namespace meshstep
