import ChestXray
import Evaluation
import Platform
import Tensors

/// What `check` says.
struct CheckReport {
  /// Of each kind of fault as many are named in the text.
  private static let mostDetails = 100

  private let check: DataCheck

  init(_ check: DataCheck) { self.check = check }

  /// Of the process.
  var status: ExitStatus {
    let isMissingAlone = check.lists.reduce(0) { $0 + $1.missing.count } == check.faultCount
    return check.faultCount == 0 ? .done : isMissingAlone ? .inputMissing : .badData
  }

  /// ```
  /// [1] train_list.txt: 78468 images of 21528 patients
  /// [2] val_list.txt: 11219 images of 3089 patients
  ///
  /// positives               [1]       [2]
  /// Atelectasis            7996      1119
  /// …
  /// 89687 images decoded
  ///
  /// missing: 1
  ///   [2] 00000003_000.png
  /// unreadable: 1
  ///   images/00000001_000.png is truncated: the file ends inside row 12 of 1024
  /// patients in [1] and [2] (0.0 % of [1], 0.1 % of [2]): 1
  ///   13
  ///
  /// 3 faults
  /// ```
  var text: String {
    var lines: [String] = []
    for (index, list) in check.lists.enumerated() {
      lines.append(
        "[\(index + 1)] \(list.path.printable): \(list.table.samples.count) images of \(list.patients) patients")
    }
    lines += labelLines
    lines +=
      check.looksForImages ? ["\(check.imageCount) images decoded", ""] : ["no --data: no image was looked for", ""]
    for (title, details) in sections {
      lines.append("\(title): \(details.count)")
      lines += details.prefix(Self.mostDetails).map { "  " + $0 }
      if details.count > Self.mostDetails {
        lines.append("  … and \(details.count - Self.mostDetails) more; --json names all")
      }
    }
    if check.faultCount > 0 { lines.append("") }
    lines.append(
      check.faultCount == 0 ? "nothing is wrong" : "\(check.faultCount) fault\(check.faultCount == 1 ? "" : "s")")
    return lines.joined(separator: "\n")
  }

  private var labelLines: [String] {
    var findings: [String] = []
    for list in check.lists { findings += list.table.findings.filter { !findings.contains($0) } }
    if findings.isEmpty { return [""] }
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(1, width - text.count)) + text
    }
    func left(_ text: String) -> String { text + String(repeating: " ", count: max(0, 18 - text.count)) }
    func row(_ name: String, _ value: (DataCheck.List) -> Int?) -> String {
      left(name.printable) + check.lists.map { right(value($0).map { String($0) } ?? "–", 10) }.joined()
    }
    let header = left("positives") + check.lists.indices.map { right("[\($0 + 1)]", 10) }.joined()
    let positives = check.lists.map { Dictionary(uniqueKeysWithValues: zip($0.table.findings, $0.table.positives)) }
    let rows = findings.map { name in
      left(name.printable) + positives.map { right($0[name].map { String($0) } ?? "–", 10) }.joined()
    }
    let unknown = row("unknown labels") { list in list.table.counts(of: .unknown).reduce(0, +) }
    return ["", header] + rows + [unknown, ""]
  }

  /// What is wrong, one line each, by kind.
  private var sections: [(title: String, details: [String])] {
    func names(_ value: (DataCheck.List) -> [String]) -> [String] {
      check.lists.enumerated().flatMap { index, list in value(list).map { "[\(index + 1)] \($0.printable)" } }
    }
    var sections = [
      ("missing", names(\.missing)), ("meaning several files", names(\.ambiguous)),

      ("unreadable", check.badImages.map(\.error.diagnosis.message)),
      ("the same picture under several names", check.copies.map { $0.map(\.printable).joined(separator: " = ") }),
    ]
    for shared in check.overlaps {
      let lists = [check.lists[shared.first], check.lists[shared.second]]
      let title = "in [\(shared.first + 1)] and [\(shared.second + 1)]"
      func section(_ what: String, _ names: [String], _ count: (DataCheck.List) -> Int) {
        let shares = lists.map { percentage(names.count, of: count($0)) }
        sections.append(
          (
            "\(what) \(title) (\(shares[0]) of [\(shared.first + 1)], \(shares[1]) of [\(shared.second + 1)])",
            names.map(\.printable)
          ))
      }
      section("images", shared.overlap.images) { $0.table.samples.count }
      section("patients", shared.overlap.patients, \.patients)
    }
    return sections.filter { !$0.1.isEmpty }.map { (title: $0.0, details: $0.1) }
  }

  var json: JSONValue {
    [
      "lists": .array(
        check.lists.map { list in
          let findings = zip(list.table.findings, zip(list.table.positives, list.table.counts(of: .unknown)))
          return [
            "path": .string(list.path), "images": JSONValue(list.table.samples.count),
            "patients": JSONValue(list.patients),
            "findings": .array(
              findings.map { name, counts in
                [
                  "name": .string(name), "positives": JSONValue(counts.0), "unknown": JSONValue(counts.1),
                  "negatives": JSONValue(list.table.samples.count - counts.0 - counts.1),
                ]
              }),
            "missing": JSONValue(list.missing), "ambiguous": JSONValue(list.ambiguous),

          ]
        }),
      "decoded": JSONValue(check.imageCount),
      "unreadable": .array(
        check.badImages.map { image in
          let diagnosis = image.error.diagnosis
          return ["path": .string(image.path), "id": .string(diagnosis.id), "message": .string(diagnosis.message)]
        }),
      "copies": .array(check.copies.map { JSONValue($0) }),
      "overlaps": .array(
        check.overlaps.map { shared in
          [
            "lists": [.string(check.lists[shared.first].path), .string(check.lists[shared.second].path)],
            "images": JSONValue(shared.overlap.images), "patients": JSONValue(shared.overlap.patients),
          ]
        }),
      "faults": JSONValue(check.faultCount),
    ]
  }
}
