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
