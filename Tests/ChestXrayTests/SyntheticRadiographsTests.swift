import Foundation
import Platform
import Testing

@testable import ChestXray

@Suite struct SyntheticRadiographsTests {
  @Test("the same seed gives the same bytes, from one thread or three")
  func reproducible() throws {
    let first = try WrittenSet(images: 20, seed: 5, threads: 1)
    let second = try WrittenSet(images: 20, seed: 5, threads: 3)
    let other = try WrittenSet(images: 20, seed: 6, threads: 3)
    #expect(first.contents.keys.sorted() == second.contents.keys.sorted())
    for (path, bytes) in first.contents { #expect(second.contents[path] == bytes, "\(path)") }
    let shared = first.contents.keys.filter { $0.hasSuffix(".png") && first.contents[$0] == other.contents[$0] }
    #expect(shared.isEmpty, "another seed gave the same images")
  }

  @Test("an image does not depend on the others")
  func independentImages() {
    let set = SyntheticRadiographs(images: 50, seed: 3)
    let late = set.radiograph(31)
    _ = set.radiograph(2)
    #expect(set.radiograph(31).image == late.image)
  }

  @Test("lists, table, boxes and images name the same files and findings", arguments: [10, 60])
  func agreement(images: Int) throws {
    let set = try WrittenSet(images: images, seed: 9, threads: 2)
    var labels: [String: Set<String>] = [:]
    for list in ["train_list.txt", "val_list.txt", "test_list.txt"] {
      for line in set.lines(list) {
        let fields = line.split(separator: " ")
        #expect(fields.count == 15)
        #expect(labels[String(fields[0])] == nil, "\(fields[0]) stands twice")
        labels[String(fields[0])] = Set(
          zip(Finding.allCases, fields.dropFirst()).compactMap { $1 == "1" ? $0.name : nil })
      }
    }
    #expect(labels.count == images)
    let files = set.contents.keys.filter { $0.hasPrefix("images/") }.map { String($0.dropFirst("images/".count)) }
    #expect(Set(files) == Set(labels.keys))

    let table = set.lines("Data_Entry_2017.csv")
    #expect(
      table.first == """
        Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,\
        OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]
        """)
    #expect(table.count == images + 1)
    for row in table.dropFirst() {
      let fields = row.split(separator: ",").map(String.init)
      #expect(fields.count == 11)
      let findings = fields[1] == "No Finding" ? [] : Set(fields[1].split(separator: "|").map(String.init))
      #expect(labels[fields[0]] == findings)
      #expect(Int(fields[0].prefix(8)) == Int(fields[3]))
      #expect(Int(fields[0].dropFirst(9).prefix(3)) == Int(fields[2]))
    }

    let boxes = set.lines("BBox_List_2017.csv")
    #expect(boxes.first == "Image Index,Finding Label,Bbox [x,y,w,h],,,")
    var boxed: [String: Set<String>] = [:]
    for row in boxes.dropFirst() {
      let fields = row.split(separator: ",").map(String.init)
      #expect(fields.count == 6)
      #expect(fields[1] != "Infiltration", "the real file says Infiltrate")
      let name = fields[1] == "Infiltrate" ? "Infiltration" : fields[1]
      #expect(boxed[fields[0], default: []].insert(name).inserted, "\(row) stands twice")
    }
    #expect(boxed == labels.filter { !$0.value.isEmpty })

    let trainingAndValidation = set.lines("train_list.txt") + set.lines("val_list.txt")
    let names = { (lines: [String]) in lines.map { String($0.prefix(16)) }.sorted() }
    #expect(set.lines("official/train_val_list.txt").sorted() == names(trainingAndValidation))
    #expect(set.lines("official/test_list.txt").sorted() == names(set.lines("test_list.txt")))
  }

  @Test("the first list ends with a newline and the others do not, as the real ones")
  func finalNewlines() throws {
    let set = try WrittenSet(images: 10, seed: 9, threads: 2)
    let ends = ["train_list.txt", "val_list.txt", "test_list.txt", "official/test_list.txt"].map {
      set.contents[$0]?.last == UInt8(ascii: "\n")
    }
    #expect(ends == [true, false, false, false])
  }

  @Test(
    "a set of a thousand has at least ten positives of each finding in each list, and no patient in two",
    arguments: [SyntheticRadiographs.defaultSeed, 0, 1, 2, .max])
  func counts(seed: UInt64) {
    let plan = SyntheticRadiographs(images: 1000, seed: seed).plan
    let summary = SyntheticSummary(plan)
    #expect(summary.lists.map(\.images) == [700, 100, 200])
    #expect(summary.lists.map(\.file) == ["train_list.txt", "val_list.txt", "test_list.txt"])
    #expect(
      summary.lists.allSatisfy { $0.positives.allSatisfy { $0 >= 10 } && $0.imagesWithoutFinding * 5 == $0.images })
    #expect(summary.lists.map(\.patients).reduce(0, +) == Set(plan.entries.map(\.patient)).count)
    #expect(Set(plan.entries.map(\.name)).count == 1000)
    #expect(plan.entries.map(\.name) == plan.entries.map(\.name).sorted())
  }

  @Test("boxes cover under a sixteenth of the image, do not overlap, and lie where a centre crop sees them")
  func boxes() {
    for sample in 0..<300 {
      var random = CounterRandom(seed: 4, purpose: .syntheticRadiograph, sample: sample)
      let boxes = SyntheticBox.place(Array(Finding.allCases.shuffled(using: &random).prefix(6)), &random)
      #expect(boxes.count == 6)
      for (index, box) in boxes.enumerated() {
        #expect(box.side * box.side * 16 < 1024 * 1024)
        #expect(box.x >= 64 && box.y >= 64 && box.x + box.side <= 960 && box.y + box.side <= 960)
        for other in boxes[(index + 1)...] {
          let apart =
            box.x + box.side <= other.x || other.x + other.side <= box.x || box.y + box.side <= other.y
            || other.y + other.side <= box.y
          #expect(apart, "\(box) overlaps \(other)")
        }
      }
    }
  }

  @Test("a fixed point lies in few boxes, so that a random peak seldom hits")
  func randomPeaks() {
    var hits = 0
    let samples = 1000
    for sample in 0..<samples {
      var random = CounterRandom(seed: 8, purpose: .syntheticRadiograph, sample: sample)
      let box = SyntheticBox.place([.mass], &random)[0]
      // The most favoured point: the middle of the image.
      if box.x <= 512, 512 < box.x + box.side, box.y <= 512, 512 < box.y + box.side { hits += 1 }
    }
    // 226² of the 654² places that a corner can have: 12 %; three deviations of the sample are 3 %.
    #expect(hits * 100 < samples * 15)
  }

  @Test("no two findings share a texture, and each averages to zero", arguments: Finding.allCases)
  func textures(finding: Finding) {
    let texture = SyntheticTexture(of: finding)
    #expect(Finding.allCases.filter { SyntheticTexture(of: $0) == texture } == [finding])
    var random = CounterRandom(seed: 2, purpose: .syntheticRadiograph)
    let values = texture.values(points: 56, spacing: 4, &random)
    // A sum of 3136 floats below 2 in magnitude: each rounding is at most 2⁻²⁴ · 2.
    #expect(abs(values.reduce(0) { $0 + Double($1) }) < 3136 * 0x1p-23)
    #expect(values.contains { $0 > 0.5 } && values.contains { $0 < -0.5 })
  }

  @Test("a finding changes the image inside its box and nowhere else")
  func planting() {
    var random = CounterRandom(seed: 6, purpose: .syntheticRadiograph)
    let bare = SyntheticFilm(of: SyntheticThorax(&random))
    let box = SyntheticBox.place([.edema], &random)[0]
    var planted = bare
    planted.plant(box, &random)
    var (first, second) = (random, random)
    let (before, after) = (bare.developed(&first), planted.developed(&second))
    // Enlarging smears over at most the three nearest pixels.
    let (columns, rows) = (box.x - 3..<box.x + box.side + 3, box.y - 3..<box.y + box.side + 3)
    let changed = before.pixels.indices.filter { before.pixels[$0] != after.pixels[$0] }
    #expect(changed.allSatisfy { columns.contains($0 % 1024) && rows.contains($0 / 1024) })
    #expect(changed.count * 2 > box.side * box.side)
  }

  @Test("a folder that has something in it is refused and left alone; an empty one is filled")
  func occupied() throws {
    let parent = try TemporaryFolder()
    let folder = parent.path + "/set"
    try createFolder(folder)
    let summary = try SyntheticRadiographs(images: 10).write(to: folder + "/", pool: ThreadPool(threads: 2))
    #expect(summary.lists.map(\.images) == [7, 1, 2])
    #expect(throws: ChestXrayError.platform(.exists(path: folder))) {
      try SyntheticRadiographs(images: 10).write(to: folder, pool: ThreadPool(threads: 1))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: parent.path) == ["set"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 7)
  }

  @Test("progress is told up to the last image")
  func progress() throws {
    let parent = try TemporaryFolder()
    var told: [Int] = []
    try SyntheticRadiographs(images: 50).write(to: parent.path + "/set", pool: ThreadPool(threads: 2)) {
      told.append($0)
    }
    #expect(told == [40, 50])
  }
}

/// A synthetic set in memory, by way of the disk.
private struct WrittenSet {
  /// By path in the folder.
  let contents: [String: [UInt8]]

  init(images: Int, seed: UInt64, threads: Int) throws {
    let parent = try TemporaryFolder()
    let folder = parent.path + "/set"
    try SyntheticRadiographs(images: images, seed: seed).write(to: folder, pool: ThreadPool(threads: threads))
    var contents: [String: [UInt8]] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder) where path.contains(".") {
      contents[path] = try FileReader.contents(of: folder + "/" + path)
    }
    self.contents = contents
  }

  func lines(_ path: String) -> [String] {
    String(decoding: contents[path] ?? [], as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

/// A folder that is gone when the test is.
private final class TemporaryFolder {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("chexnet-\(UUID().uuidString)").path

  init() throws { try createFolder(path) }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      Issue.record("\(path) could not be removed: \(error)")
    }
  }
}
