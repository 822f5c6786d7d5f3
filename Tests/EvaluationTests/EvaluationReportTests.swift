import ChestXray
import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import Evaluation

/// 200 images of 50 patients; what is predicted of Mass is better than what is predicted of Edema, which has no table's Hernia beside it.
private struct Sample {
  let table: LabelTable
  let predictions: Predictions

  init(seed: UInt64, names: [String] = ["Edema", "Mass", "Extra"]) {
    var labels = CounterRandom(seed: 5, purpose: .shuffle)
    var random = CounterRandom(seed: seed, purpose: .shuffle)
    let table = LabelTable(
      findings: ["Mass", "Edema", "Hernia"],
      samples: (0..<200).map { index in
        let known = (0..<2).map { _ in labels.uniform() < 0.4 ? Label.positive : .negative }
        let attributes = ChestXray.Sample.Attributes(
          sex: index % 8 < 4 ? "F" : "M", age: index % 5 == 0 ? nil : index / 2, view: "PA")
        return ChestXray.Sample(
          image: "\(index).png", labels: known + [.negative], patient: "\(index / 4)", attributes: attributes)
      })
    var predictions = Predictions(findings: names, table: table)
    for sample in table.samples {
      let probabilities = names.map { name in
        let gain = name == "Mass" ? 2.0 : 0.7
        let label = table.findings.firstIndex(of: name).map { sample.labels[$0] } ?? .unknown
        return sigmoid((label == .positive ? gain : 0) + random.normal())
      }
      predictions.append(sample, probabilities: probabilities)
    }
    (self.table, self.predictions) = (table, predictions)
  }

  func column(_ name: String, _ confidence: ConfidenceMethod = .delong) -> EvaluationReport.Column {
    EvaluationReport.Column(
      name: name, predictions: predictions, scores: Scores(predictions, confidence: confidence))
  }

  func list() throws -> JudgedList { try JudgedList(path: "lists/test.txt", labels: nil, table: table) }
}

private func sigmoid(_ value: Double) -> Double { 1 / (1 + exp(-value)) }

@Suite struct EvaluationReportTests {
  private let undefined = LabelTable(
    findings: ["Mass", "Hernia"],
    samples: [
      .init(image: "1.png", labels: [.positive, .negative], patient: "7"),
      .init(image: "2.png", labels: [.negative, .negative], patient: nil),
      .init(image: "3.png", labels: [.unknown, .negative], patient: "8"),
    ])

  private func report(_ names: [String], _ confidence: ConfidenceMethod = .delong) throws -> EvaluationReport {
    var predictions = Predictions(findings: ["Hernia", "Mass", "Extra"], table: undefined)
    for (sample, values) in zip(undefined.samples, [[0.1, 0.9, 0.5], [0.2, 0.125, 0.25], [1e-12, 0.3, 1]]) {
      predictions.append(sample, probabilities: values)
    }
    let scores = Scores(predictions, confidence: confidence)
    return EvaluationReport(
      list: try JudgedList(path: "a/list.txt", labels: nil, table: undefined),
      columns: names.map { EvaluationReport.Column(name: $0, predictions: predictions, scores: scores) })
  }

  @Test func `undefined findings are n/a and not in the mean`() throws {
    let expected = """
      list.txt: 3 images of 3 patients, none of ChestX-ray14's lists
      labels: the list's own

      finding    positives  negatives   AUROC  95 % interval
      Hernia*            0          3     n/a            n/a
      Mass*              1          1  1.0000            n/a
      mean of 1                        1.0000            n/a

      intervals: DeLong's, by patient (3 with 3 images), on the logit scale
      * fewer than 50 positives: an interval may cover less than it says

      """
    #expect(try report(["a.safetensors"]).text == expected)
    #expect(try !report(["a"], .none).text.contains("interval:"))
  }

  @Test func `several checkpoints stand side by side, published values beside one`() throws {
    var several = try report(["a.safetensors", "b.safetensors"])
    several.published = .wang
    let expected = """
      list.txt: 3 images of 3 patients, none of ChestX-ray14's lists
      labels: the list's own

      [1] a.safetensors
      [2] b.safetensors

      finding    positives  negatives     [1]     [2]    Wang
      Hernia*            0          3     n/a     n/a  0.7670
      Mass*              1          1  1.0000  1.0000  0.7060
      mean of 1                        1.0000  1.0000

      * fewer than 50 positives: an interval may cover less than it says
      Wang: Wang et al., CVPR 2017, as quoted by Rajpurkar et al.
      measured on 70/10/20 lists of its own
      between lists 2 points are usual

      """
    #expect(several.text == expected)
    let sample = Sample(seed: 1)
    var single = EvaluationReport(list: try sample.list(), columns: [sample.column("a")])
    single.published = .chexnet
    // CheXNet's Edema, 0.8878, is above what 0.7 deviations rank.
    #expect(single.text.contains("0.8878 above\n"))
    #expect(single.json["checkpoints"]?[0]?["findings"]?[0]?["published"] == "above")
    #expect(single.text.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  @Test func `a wide table comes in pieces of 80 characters, each with the names`() throws {
    let text = try report((1...12).map { "\($0).safetensors" }).text
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
    #expect(text.components(separatedBy: "finding  ").count == 3)
    #expect(text.contains(" [12]\n"))
  }

  @Test func `Markdown and CSV say the same numbers`() throws {
    let sample = Sample(seed: 1)
    var report = EvaluationReport(list: try sample.list(), columns: [sample.column("a|b,c")])
    report.columns[0].subgroups = Subgroup.all(
      sample.predictions, table: sample.table, confidence: .delong, pool: ThreadPool())
    let mass = try #require(report.columns[0].scores["Mass"])
    let auroc = try #require(mass.auroc)
    #expect(report.markdown.contains("| Mass | \(mass.positives) | \(mass.negatives) | \(decimals(auroc, 4)) | "))
    let lines = report.csv.split(separator: "\n").map(String.init)
    #expect(lines[0].hasPrefix("checkpoint,group,finding,positives,negatives,auroc,low,high,average_precision"))
    let row = try #require(lines.first { $0.hasPrefix("\"a|b,c\",all,Mass,") })
    let numbers = row.dropFirst("\"a|b,c\",all,Mass,".count).split(separator: ",", omittingEmptySubsequences: false)
    #expect(Double(numbers[2]) == auroc && Double(numbers[3]) == mass.interval?.low)
    #expect(Double(numbers[5]) == mass.averagePrecision && Double(numbers[6]) == mass.calibration?.brier)
    #expect(lines.count { $0.contains(",sex F,") } == 2)
  }

  @Test func `each of the others is tested against the first, all corrected together`() throws {
    let (first, second) = (Sample(seed: 1), Sample(seed: 2))
    let all = [first.predictions, second.predictions, first.predictions]
    let comparisons = Comparison.againstFirst(all, byPatient: true, pool: ThreadPool())
    #expect(comparisons.map(\.second) == [1, 2])
    #expect(comparisons[0].findings.map(\.name) == ["Edema", "Mass"])
    #expect(comparisons[1].findings.allSatisfy { $0.test?.difference == 0 && $0.correctedP == nil })
    func scores(_ sample: Sample, _ name: String) throws -> [Double] {
      let column = try #require(sample.predictions.findings.firstIndex(of: name))
      return sample.predictions.rows.map { $0.probabilities[column] }
    }
    for (place, name) in ["Edema", "Mass"].enumerated() {
      let isPositive = first.table.samples.map { $0.labels[name == "Mass" ? 0 : 1] == .positive }
      let patients = (0..<200).map { $0 / 4 }
      let sides = try [first, second].map {
        try #require(PlacementValues(scores: try scores($0, name), isPositive: isPositive, clusters: patients))
      }
      let test = try #require(comparisons[0].findings[place].test)
      #expect(test == PairedComparison(sides[0], sides[1]))
      #expect(test.interval.low < test.difference && test.difference < test.interval.high)
    }
    let p = comparisons[0].findings.map { $0.test?.pValue }
    #expect(comparisons[0].findings.map(\.correctedP) == holmCorrected(p))
  }

  @Test func `groups have their own images and patients, and what is not told is in none`() throws {
    let sample = Sample(seed: 1)
    let groups = Subgroup.all(sample.predictions, table: sample.table, confidence: .delong, pool: ThreadPool())
    // One view only is no group.
    #expect(
      groups.map(\.name) == ["sex F", "sex M", "age 0–19", "age 20–39", "age 40–59", "age 60–79", "age 80 and over"])
    #expect(groups.map(\.scores.images) == [100, 100, 32, 32, 32, 32, 32])
    #expect(groups[0].scores.patients == 25)
    let women = sample.table.samples.indices.filter { sample.table.samples[$0].attributes.sex == "F" }
    let expected = auroc(
      scores: women.map { sample.predictions.rows[$0].probabilities[1] },
      isPositive: women.map { sample.table.samples[$0].labels[0] == .positive })
    #expect(groups[0].scores["Mass"]?.auroc == expected)
  }

  @Test func `thresholds are the other list's, and are judged on this one`() throws {
    let (tested, validation) = (Sample(seed: 1), Sample(seed: 3))
    let found = FindingThresholds.all(of: tested.predictions, chosenOn: validation.predictions)
    #expect(found.map(\.name) == ["Edema", "Mass"])
    let isPositive = tested.table.samples.map { $0.labels[0] == .positive }
    let theirs = validation.predictions.rows.map { $0.probabilities[1] }
    let threshold = try #require(RankedScores(scores: theirs, isPositive: isPositive)?.threshold(.youden))
    let point = try #require(found[1].points.first { $0.rule == .youden }?.point)
    let own = tested.predictions.rows.map { $0.probabilities[1] }
    #expect(point == OperatingPoint(threshold: threshold, scores: own, isPositive: isPositive))
  }

  @Test func `an ensemble is the mean of its members, finding by finding`() throws {
    let (first, second) = (Sample(seed: 1), Sample(seed: 2, names: ["Mass", "Hernia", "Edema"]))
    let ensemble = try Predictions(ensemble: [first.predictions, second.predictions], table: first.table)
    #expect(ensemble.findings == ["Edema", "Mass"])
    let row = ensemble.rows[7].probabilities
    #expect(
      abs(row[1] - (first.predictions.rows[7].probabilities[1] + second.predictions.rows[7].probabilities[0]) / 2)
        < 1e-9)
    #expect(Double(nineDigits(row[1])) == row[1])
    let other = Sample(seed: 2, names: ["Hernia"])
    #expect(throws: EvaluationError.self) {
      try Predictions(ensemble: [first.predictions, other.predictions], table: first.table)
    }
  }

  /// The means that `facts/chestxray14.md`, 5.4, measured from the published columns.
  @Test func `published columns have the means that others took of them`() {
    let means: [PublishedScores: Double] = [
      .chexnet: 0.8414, .wang: 0.738, .yao: 0.803, .arnoweng: 0.8481, .zoogzog: 0.8508, .jrzech: 0.8383,
    ]
    for published in PublishedScores.allCases {
      let digits = published == .wang || published == .yao ? 1e-3 : 1e-4
      #expect(abs(published.mean - (means[published] ?? 0)) <= digits / 2 + 1e-9, "\(published)")
      #expect(published.auroc(of: "pleural thickening") == published.auroc(of: "Pleural_Thickening"))
      #expect(published.auroc(of: "Fracture") == nil)
    }
  }

  @Test(.enabled(if: realChestXray14 != nil)) func `the lists of ChestX-ray14, and where labels come from, are known`()
    throws
  {
    let data = try #require(realChestXray14)
    let table = data + "/Data_Entry_2017_v2020.csv"
    let own = try JudgedList(
      path: data + "/labels/test_list.txt", labels: nil, table: try LabelTable(list: data + "/labels/test_list.txt"))
    #expect(
      own.text
        == "test_list.txt: 22433 images of 6187 patients, the 70/10/20 test list\nlabels: the list's own, of 2017")
    let official = data + "/official/test_list.txt"
    let judged = try JudgedList(path: official, labels: table, table: try LabelTable(list: official, labels: table))
    #expect(judged.known == .officialTest && judged.release == .second)
    #expect(judged.text.hasSuffix("NIH's official test list\nlabels: Data_Entry_2017_v2020.csv, of v2020"))
    // A part of a list is another list, whose labels the whole table tells.
    try inTemporaryFolder { folder in
      let part = folder + "/part.txt"
      try AtomicFile.write("00000003_000.png\n00000003_001.png\n", to: part, overwriting: false)
      let judged = try JudgedList(path: part, labels: table, table: try LabelTable(list: part, labels: table))
      #expect(judged.known == nil && judged.release == .second)
    }
  }
}
