import Platform

/// What was written, for the one who asked for it.
public struct SyntheticSummary: Equatable, Sendable {
  /// One of the three lists.
  public struct List: Equatable, Sendable {
    public var file: String
    public var images: Int
    public var patients: Int
    public var imagesWithoutFinding: Int
    /// Images with each finding, in the order of `Finding.allCases`.
    public var positives: [Int]
  }

  /// Train, validation, test.
  public var lists: [List]

  init(_ plan: SyntheticPlan) {
    lists = SyntheticPlan.Split.allCases.map { split in
      let entries = plan.entries.filter { $0.split == split }
      return List(
        file: split.listName, images: entries.count, patients: Set(entries.map(\.patient)).count,
        imagesWithoutFinding: entries.count { $0.findings.isEmpty },
        positives: Finding.allCases.map { finding in entries.count { $0.findings.contains(finding) } })
    }
  }
}

extension SyntheticSummary {
  /// A line a list:
  ///
  ///     demo/train_list.txt   700 images of  231 patients,   84 without a finding; 153 to 165 of each finding
  public func text(folder: String) -> String {
    func padded(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    let width = lists.map(\.file.count).max() ?? 0
    return lists.map { list in
      let name = "\(folder)/\(list.file)" + String(repeating: " ", count: width - list.file.count)
      return "\(name) \(padded("\(list.images)", 6)) images of \(padded("\(list.patients)", 5)) patients, "
        + "\(padded("\(list.imagesWithoutFinding)", 5)) without a finding; "
        + "\(list.positives.min() ?? 0) to \(list.positives.max() ?? 0) of each finding\n"
    }.joined()
  }

  /// `{"folder", "lists": [{"file", "images", "patients", "without_finding", "positives": {finding: count}}]}`.
  public func json(folder: String) -> JSONValue {
    [
      "folder": .string(folder),
      "lists": .array(
        lists.map { list in
          [
            "file": .string(list.file), "images": JSONValue(list.images), "patients": JSONValue(list.patients),
            "without_finding": JSONValue(list.imagesWithoutFinding),
            "positives": .object(
              JSONObject(zip(Finding.allCases, list.positives).map { ($0.name, JSONValue($1)) })),
          ]
        }),
    ]
  }
}
