import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import ChestXray

@Suite struct BatchLoaderTests {
  private static let preprocessing = Preprocessing(
    geometry: .centerCrop(resize: 32, crop: 28), mean: Preprocessing.imageNetMean,
    deviation: Preprocessing.imageNetDeviation)
  private static let images = [
    "gray8.png", "wide.png", "rgba8.png", "tall.png", "square.png", "palette8.png", "rgb8.png",
  ]

  private func dataset(_ images: [String] = images, folder: String = "images", classes: [String]? = nil) throws
    -> Dataset
  {
    let labels: [[Label]] = [[.positive, .negative], [.unknown, .positive], [.negative, .negative]]
    let samples = images.enumerated().map { Sample(image: $1, labels: labels[$0 % 3], patient: nil) }
    return try Dataset(
      table: LabelTable(findings: ["Mass", "Edema"], samples: samples), folder: ImageFolder(path: fixture(folder)),
      classes: classes, preprocessing: Self.preprocessing)
  }

  private func batches(_ loader: BatchLoader) throws -> [Batch] {
    var batches: [Batch] = []
    while let batch = try loader.next() { batches.append(batch) }
    return batches
  }

  @Test("batches come in the order of the list, the last one smaller, with the labels of their samples")
  func listOrder() throws {
    let loader = BatchLoader(try dataset(), batchSize: 3, pool: ThreadPool(threads: 2))
    #expect(loader.batchCount == 3)
    let batches = try batches(loader)
    #expect(batches.map(\.samples) == [[0, 1, 2], [3, 4, 5], [6]])
    #expect(batches[0].labels == [.positive, .negative, .unknown, .positive, .negative, .negative])
    #expect(batches[2].labels == [.positive, .negative])
    let preparation = try ImagePreparation(Self.preprocessing)
    for batch in batches {
      #expect(batch.images.count == batch.count)
      for (place, sample) in batch.samples.enumerated() {
        let alone = preparation.prepare(try radiograph(Self.images[sample]))
        #expect(batch.images[place] == alone.pixels)
        #expect(batch.views[place].window == alone.window)
      }
    }
  }

  @Test("an image's ten crops are ten samples in a row with its labels, whatever was done before")
  func tenCrops() throws {
    let dataset = try dataset()
    let whole = try batches(BatchLoader(dataset, batchSize: 2, augmentation: .tenCrop, pool: ThreadPool(threads: 2)))
    #expect(whole.map(\.count) == [20, 20, 20, 10])
    #expect(whole[1].samples == [Int](repeating: 2, count: 10) + [Int](repeating: 3, count: 10))
    #expect(whole[0].labels == (0..<20).flatMap { $0 < 10 ? [.positive, .negative] : [.unknown, .positive] })
    #expect(whole[1].views.count == 20)
    let rest = try batches(
      BatchLoader(
        dataset, order: [2, 3, 4, 5, 6], batchSize: 2, augmentation: .tenCrop, seed: 5, epoch: 3,
        pool: ThreadPool(threads: 3)))
    #expect(rest == Array(whole[1...]))
  }

  @Test(arguments: [Augmentation.none, .fiveCrop])
  func `several preparations show what each shows alone`(augmentation: Augmentation) throws {
    let dataset = try dataset()
    var other = Self.preprocessing
    other.geometry = .centerCrop(resize: 20, crop: 13)
    let preparations = [try ImagePreparation(other), dataset.preparation]
    let loader = BatchLoader(dataset, preparations: preparations, batchSize: 3, augmentation: augmentation)
    let alone = try preparations.map {
      try batches(BatchLoader(dataset, preparations: [$0], batchSize: 3, augmentation: augmentation))
    }
    var found: [[Batch]] = [[], []]
    while let both = try loader.nextOfEach() {
      #expect(both.count == 2)
      for (place, batch) in both.enumerated() { found[place].append(batch) }
    }
    #expect(found == alone)
    #expect(found[0] != found[1] && found[0][0].images[0] != found[1][0].images[0])
    #expect(alone[1] == (try batches(BatchLoader(dataset, batchSize: 3, augmentation: augmentation))))
  }

  @Test("order and bits do not depend on the number of threads", arguments: [2, 3, 8])
  func threads(count: Int) throws {
    let dataset = try dataset()
    let order = BatchLoader.shuffledOrder(count: dataset.count, seed: 9, epoch: 4)
    func run(_ threads: Int) throws -> [Batch] {
      try batches(
        BatchLoader(
          dataset, order: order, batchSize: 2, augmentation: .cropFlip(), seed: 9, epoch: 4,
          pool: ThreadPool(threads: threads)))
    }
    #expect(try run(count) == run(1))
  }

  @Test("a sample is the same in every batch, and another in every epoch")
  func independent() throws {
    let dataset = try dataset()
    func sample(_ order: [Int], batchSize: Int, epoch: Int) throws -> ImagePixels? {
      let loader = BatchLoader(
        dataset, order: order, batchSize: batchSize, augmentation: .cropFlip(), seed: 1, epoch: epoch)
      let all = try batches(loader)
      for batch in all {
        if let place = batch.samples.firstIndex(of: 4) { return batch.images[place] }
      }
      return nil
    }
    let first = try sample([4], batchSize: 1, epoch: 0)
    #expect(try sample([6, 5, 4, 3, 2, 1, 0], batchSize: 4, epoch: 0) == first)
    #expect(try sample([4], batchSize: 1, epoch: 1) != first)
  }

  @Test("every epoch has every sample once, in another order")
  func shuffled() {
    let first = BatchLoader.shuffledOrder(count: 1000, seed: 3, epoch: 0)
    #expect(first.sorted() == Array(0..<1000))
    #expect(first == BatchLoader.shuffledOrder(count: 1000, seed: 3, epoch: 0))
    #expect(first != BatchLoader.shuffledOrder(count: 1000, seed: 3, epoch: 1))
    #expect(first != BatchLoader.shuffledOrder(count: 1000, seed: 4, epoch: 0))
  }

  @Test("classes of a network are matched by name; those that the table lacks are masked")
  func classes() throws {
    let dataset = try dataset(classes: ["edema", "Hernia", "Mass"])
    #expect(dataset.unlabelledClasses == ["Hernia"])
    let batch = try BatchLoader(dataset, batchSize: 2).next()
    #expect(batch?.labels == [.negative, .unknown, .positive, .positive, .unknown, .unknown])
  }

  @Test("the first bad image of the list stops with an error that names it", arguments: [1, 4])
  func badImage(threads: Int) throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, source) in [("a", "gray8.png"), ("b", "damaged/truncated-pixels.bin"), ("c", "damaged/jpeg.bin")] {
      try FileManager.default.copyItem(atPath: fixture("images/" + source), toPath: "\(folder)/\(name).png")
    }
    let samples = ["a.png", "a.png", "b.png", "c.png"].map { Sample(image: $0, labels: [.positive], patient: nil) }
    let dataset = try Dataset(
      table: LabelTable(findings: ["Mass"], samples: samples), folder: ImageFolder(path: folder),
      preprocessing: Self.preprocessing)
    let loader = BatchLoader(dataset, batchSize: 2, pool: ThreadPool(threads: threads))
    #expect(try loader.next()?.count == 2)
    let error = #expect(throws: ChestXrayError.self) { try loader.next() }
    guard case .image(let path, .truncated) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(path == "\(folder)/b.png")
    #expect(try loader.next() == nil)
  }

  @Test("images that are missing are reported before the first batch")
  func missing() {
    let error = #expect(throws: ChestXrayError.self) { try dataset(["gray8.png", "nowhere.png"]) }
    #expect(error?.diagnosis.id == "image.missing")
  }

  @Test(arguments: [Augmentation.none, .tenCrop])
  func `a bad image is an error, or is left out with all its views`(augmentation: Augmentation) throws {
    try inTemporaryFolder { folder in
      for image in Self.images {
        let bytes = try FileReader.contents(of: fixture("images/" + image))
        try AtomicFile.write(
          image == "rgba8.png" ? Array(bytes.dropLast(20)) : bytes, to: folder + "/" + image, overwriting: false)
      }
      var dataset = try Dataset(
        table: dataset().table, folder: ImageFolder(path: folder), preprocessing: Self.preprocessing)
      func loader() -> BatchLoader { BatchLoader(dataset, batchSize: 2, augmentation: augmentation) }
      #expect(throws: ChestXrayError.self) { try batches(loader()) }
      let views = augmentation.viewCount
      dataset.skipsBadImages = true
      let found = try batches(loader())
      #expect(found.map(\.count) == [2 * views, views, 2 * views, views])
      #expect(found[1].samples == [Int](repeating: 3, count: views))
      #expect(found[1].labels == (0..<views).flatMap { _ in [Label.positive, .negative] })
      #expect(found.flatMap(\.skipped).map(\.sample) == [2])
      // The others are what they are without it.
      #expect(try found[2] == batches(BatchLoader(self.dataset(), batchSize: 2, augmentation: augmentation))[2])
    }
  }
}
