import ChestXray

extension Predictions {
  /// The mean of the members' probabilities of each finding that all of them have, whatever their order, for the images of `table`, which each
  /// member has predicted. Of what the members' own files print, rounded again to nine digits.
  ///
  /// Throws `noCommonClass` where the members have no finding in common.
  public init(ensemble members: [Predictions], table: LabelTable) throws(EvaluationError) {
    precondition(
      members.allSatisfy { $0.rows.map(\.image) == table.samples.map(\.image) }, "predictions of other images")
    let names = members.map { $0.findings.map(canonicalClassName) }
    let common = (names.first ?? []).filter { name in names.allSatisfy { $0.contains(name) } }
    self.init(findings: common, table: table)
    guard isLabelled.contains(true) else { throw .noCommonClass(members: members.count) }
    let columns = names.map { names in common.compactMap { names.firstIndex(of: $0) } }
    for (index, sample) in table.samples.enumerated() {
      let sums = zip(members, columns).reduce(into: [Double](repeating: 0, count: common.count)) { sums, member in
        for (place, column) in member.1.enumerated() { sums[place] += member.0.rows[index].probabilities[column] }
      }
      append(sample, probabilities: sums.map { $0 / Double(members.count) })
    }
  }
}
