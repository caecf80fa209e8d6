// What a shard of a search has found, as a file that grows: a killed search goes on from it, and
// `merge` puts shards together.
//
// DIR/shard-I-of-N.pb is a list of records (v1::SearchRecord), each a frame of its length (4 bytes,
// little-endian), the FNV-1a hash of its bytes (8) and the bytes. The first is the header, which
// says what space it is of. A frame that is cut off or does not match its hash ends the list: what
// follows was never finished. DIR/bound-I holds the N-th best time so far, written anew under
// another name and renamed; other shards read it, which only makes them quicker.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_FILE_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "meshstep/v1/search_report.pb.h"
#include "sim/base/status.h"

namespace meshstep {

struct SearchContents {
  v1::SearchHeader header;
  std::vector<v1::LookedAtPlan> plans;  // the last record of each, by index
  std::vector<v1::CountedGroups> groups;
  std::optional<v1::SearchDone> done;
  std::int64_t bytes = 0;  // of whole frames
};

// Error: there is no such file, or its first record is no header.
StatusOr<SearchContents> ReadSearchFile(const std::string& path);

class SearchFile {
 public:
  // Makes the folder and the file, or opens what is there to go on. Error: it cannot be written, or
  // is of another space or part.
  static StatusOr<std::unique_ptr<SearchFile>> Open(const std::string& folder,
                                                    const v1::SearchHeader& header);
  ~SearchFile();
  SearchFile(const SearchFile&) = delete;
  SearchFile& operator=(const SearchFile&) = delete;

  const SearchContents& found() const { return found_; }
  // Threads take turns. Error: the disk is full.
  Status Append(const v1::LookedAtPlan& plan);
  Status Append(const v1::CountedGroups& groups);
  Status Append(const v1::SearchDone& done);

  // The N-th best time of this shard, and the least of what the others say.
  void WriteBound(std::int64_t ps) const;
  std::int64_t ReadBounds() const;  // int64's largest without any

 private:
  SearchFile(std::string folder, int descriptor, SearchContents found)
      : folder_(std::move(folder)), descriptor_(descriptor), found_(std::move(found)) {}
  Status Write(const v1::SearchRecord& record);

  const std::string folder_;
  const int descriptor_;
  const SearchContents found_;
};

// Paths of all shards in a folder, by name. Error: there are none.
StatusOr<std::vector<std::string>> SearchFilesIn(const std::string& folder);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_FILE_H_
