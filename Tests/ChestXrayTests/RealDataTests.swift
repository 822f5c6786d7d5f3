import Foundation
import Platform
import TestSupport
import Testing

@testable import ChestXray

/// Counts measured on the published lists and tables (the figures of the dataset's documentation agree).
@Suite(
  .enabled(
    if: realChestXray14 != nil, "SKIPPED: no real radiographs at shared/data/chestxray14 beside the repository or above"
  ))
struct RealDataTests {
  private let data = realChestXray14 ?? ""

  @Test(
    "the 70/10/20 lists have the published numbers of images, patients and positives",
    arguments: [
      (
        "train", 78468, 21528, 42405,
        [7996, 1950, 9261, 13914, 3988, 4375, 978, 3705, 3263, 1690, 1799, 1158, 2279, 144]
      ),
      ("val", 11219, 3090, 6079, [1119, 240, 1292, 2018, 625, 613, 133, 504, 447, 200, 208, 166, 372, 41]),
      ("test", 22433, 6187, 11928, [2420, 582, 2754, 3938, 1133, 1335, 242, 1089, 957, 413, 509, 362, 734, 42]),
    ])
  func lists(name: String, images: Int, patients: Int, withoutFindings: Int, positives: [Int]) throws {
    let table = try LabelTable(list: "\(data)/labels/\(name)_list.txt")
    #expect(table.samples.count == images)
    #expect(Set(table.samples.map(\.patient)).count == patients)
    #expect(table.samples.filter { $0.labels.allSatisfy { $0 == .negative } }.count == withoutFindings)
    #expect(table.positives == positives)
  }

  @Test(
    "the official lists with NIH's table have the published numbers",
    arguments: [
      (
        "train_val", 86524, 28008, 50500,
        [8280, 1707, 8659, 13782, 4034, 4708, 876, 2637, 2852, 1378, 1423, 1251, 2242, 141]
      ),
      ("test", 25596, 2797, 9861, [3279, 1069, 4658, 6112, 1748, 1623, 555, 2665, 1815, 925, 1093, 435, 1143, 86]),
    ])
  func official(name: String, images: Int, patients: Int, withoutFindings: Int, positives: [Int]) throws {
    let table = try LabelTable(
      list: "\(data)/official/\(name)_list.txt", labels: "\(data)/Data_Entry_2017_v2020.csv")
    #expect(table.samples.count == images)
    #expect(Set(table.samples.map(\.patient)).count == patients)
    #expect(table.samples.filter { $0.labels.allSatisfy { $0 == .negative } }.count == withoutFindings)
    #expect(table.positives == positives)
  }

  @Test("NIH's table is a list too, of all images")
  func wholeTable() throws {
    let table = try LabelTable(list: "\(data)/Data_Entry_2017_v2020.csv")
    #expect(table.samples.count == 112120)
    #expect(Set(table.samples.map(\.patient)).count == 30805)
    #expect(
      table.positives == [11559, 2776, 13317, 19894, 5782, 6331, 1431, 5302, 4667, 2303, 2516, 1686, 3385, 227])
  }

  @Test("the boxes have the published numbers")
  func boxes() throws {
    let boxes = try FindingBox.read("\(data)/BBox_List_2017.csv")
    #expect(boxes.count == 984)
    #expect(Set(boxes.map(\.image)).count == 880)
    let counts = Dictionary(grouping: boxes, by: \.finding).mapValues(\.count)
    #expect(
      counts == [
        .atelectasis: 180, .effusion: 153, .cardiomegaly: 146, .infiltration: 123, .pneumonia: 120, .pneumothorax: 98,
        .mass: 85, .nodule: 79,
      ])
    #expect(boxes.map { $0.x + $0.width }.max().map { $0 < 1024 } == true)
    #expect(boxes.map { $0.y + $0.height }.max().map { $0 < 1024 } == true)
  }

  @Test("every radiograph decodes; four of the sixty are RGBA")
  func radiographs() throws {
    let folder = try ImageFolder(path: "\(data)/images")
    let paths = try folder.resolve(folder.images())
    #expect(paths.count == 60)
    let results = ThreadPool().map(paths.count) { index in Result { try Radiograph.read(paths[index]) } }
    let images = try results.map { try $0.get() }
    #expect(images.allSatisfy { $0.width == 1024 && $0.height == 1024 })
    #expect(images.filter { $0.channels == 3 }.count == 4)
    // Red, green and blue are equal, so that one channel says all.
    for image in images where image.channels == 3 {
      let gray = image.gray.pixels
      #expect((0..<1 << 20).allSatisfy { image.pixels[3 * $0 + 1] == gray[$0] })
    }
  }

  @Test("they decode without libpng, to its pixels, at every level")
  func plainRadiographs() throws {
    let folder = try ImageFolder(path: "\(data)/images")
    var count = 0
    for path in try folder.resolve(folder.images()) {
      let bytes = try contents(of: path, atMost: Radiograph.largestFile)
      for level in PixelLevel.all {
        guard let image = PlainPNG.decode(bytes, level: level.value) else { continue }
        #expect(try image == PNGDecoder.decodeByLibrary(bytes, path: path), "\(path), \(level.testDescription)")
        count += 1
      }
    }
    #expect(count == 60 * PixelLevel.all.count)
  }

  @Test("a list leads to the radiographs that are here, and the missing ones are counted")
  func missing() throws {
    let table = try LabelTable(list: "\(data)/labels/val_list.txt")
    let folder = try ImageFolder(path: data)
    let error = #expect(throws: ChestXrayError.self) { try folder.resolve(table.samples.map(\.image)) }
    guard case .folder(_, .imagesMissing(let names, 11219)) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(names.count >= 11219 - 60)
  }
}
