import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import ChestXray

@Suite struct RadiographCacheTests {
  private static let images = [
    "gray8.png", "wide.png", "rgba8.png", "tall.png", "square.png", "palette8.png", "rgb8.png",
  ]

  private func dataset(_ folder: String, _ source: ImageSource, geometry: Preprocessing.Geometry) throws -> Dataset {
    var dataset = try Dataset(
      table: LabelTable(
        findings: ["Mass"], samples: Self.images.map { Sample(image: $0, labels: [.negative], patient: nil) }),
      folder: ImageFolder(path: folder),
      preprocessing: Preprocessing(
        geometry: geometry, mean: Preprocessing.imageNetMean, deviation: Preprocessing.imageNetDeviation))
    dataset.source = source
    return dataset
  }

  private func batches(_ dataset: Dataset, _ augmentation: Augmentation) throws -> [Batch] {
    let loader = BatchLoader(dataset, batchSize: 3, augmentation: augmentation, seed: 4, epoch: 2)
    var batches: [Batch] = []
    while let batch = try loader.next() { batches.append(batch) }
    return batches
  }

  private func files(in folder: String) -> [String] {
    (FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []).map { folder + "/" + $0 }
      .filter { !isFolder($0) }.sorted()
  }

  private func copyImages(to folder: String) throws {
    try createFolder(folder)
    for image in Self.images {
      try AtomicFile.write(
        FileReader.contents(of: fixture("images/" + image)), to: folder + "/" + image, overwriting: true)
    }
  }

  @Test(arguments: [Augmentation.cropFlip(), .flip, .none])
  func `a network sees the same whether images are made, kept or read`(augmentation: Augmentation) throws {
    try inTemporaryFolder { folder in
      let geometry = Preprocessing.Geometry.centerCrop(resize: 32, crop: 28)
      for side in [nil, 48] as [Int?] {
        let cache = RadiographCache(folder: "\(folder)/\(side ?? 0)")
        let without = try batches(
          dataset(fixture("images"), ImageSource(shortSide: side), geometry: geometry), augmentation)
        let kept = try dataset(fixture("images"), ImageSource(shortSide: side, cache: cache), geometry: geometry)
        #expect(try batches(kept, augmentation) == without)
        let isUsed = side != nil || augmentation == .none
        #expect(files(in: cache.folder).count == (isUsed ? Self.images.count : 0))
        #expect(try batches(kept, augmentation) == without)
        #expect(cache.failure == nil)
      }
    }
  }

  @Test func `images are scaled down as Pillow does it, and never up`() throws {
    let image = try radiograph("wide.png")
    let scaled = image.scaledDown(shortSide: 48)
    let whole = PixelBox(x: 0, y: 0, width: image.width, height: image.height)
    let side = ImagePreparation.resizedSides(width: image.width, height: image.height, short: 48)
    #expect(scaled == Resampling.resize(image, box: whole, width: side.width, height: side.height))
    #expect(min(scaled.width, scaled.height) == 48)
    #expect(image.scaledDown(shortSide: 97) == image)
    #expect(image.scaledDown(shortSide: 4000) == image)
  }

  @Test func `a changed image is another record, whatever its size and its time say`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/image.png"
      let source = ImageSource(shortSide: 48, cache: RadiographCache(folder: folder + "/cache"))
      try AtomicFile.write(FileReader.contents(of: fixture("images/wide.png")), to: path, overwriting: false)
      var times = stat()
      #expect(stat(path, &times) == 0)
      let first = try source.radiograph(at: path)
      // Another picture, with the same time of change.
      try AtomicFile.write(FileReader.contents(of: fixture("images/tall.png")), to: path, overwriting: true)
      var old = [times.st_atim, times.st_mtim]
      #expect(utimensat(AT_FDCWD, path, &old, 0) == 0)
      let second = try source.radiograph(at: path)
      #expect(first == (try radiograph("wide.png").withoutEqualChannels.scaledDown(shortSide: 48)))
      #expect(second == (try radiograph("tall.png").withoutEqualChannels.scaledDown(shortSide: 48)))
      #expect(first != second)
    }
  }

  @Test func `a damaged record is made again`() throws {
    try inTemporaryFolder { folder in
      let cache = RadiographCache(folder: folder + "/cache")
      let source = ImageSource(shortSide: 48, cache: cache)
      let path = fixture("images/wide.png")
      let sound = try source.radiograph(at: path)
      let file = try #require(files(in: cache.folder).first)
      let bytes = try FileReader.contents(of: file)
      for place in Array(0..<96) + [bytes.count - 1] {
        var damaged = bytes
        damaged[place] ^= 1
        try AtomicFile.write(damaged, to: file, overwriting: true)
        #expect(try source.radiograph(at: path) == sound, "byte \(place)")
        #expect(try FileReader.contents(of: file) == bytes, "byte \(place)")
      }
      for size in [0, 95, 96, bytes.count - 1] {
        try AtomicFile.write(Array(bytes[..<size]), to: file, overwriting: true)
        #expect(try source.radiograph(at: path) == sound, "\(size) bytes")
      }
      try AtomicFile.write(bytes + [0], to: file, overwriting: true)
      #expect(try source.radiograph(at: path) == sound)
    }
  }

  @Test func `a folder that cannot be written is told, and the images are made`() throws {
    try inTemporaryFolder { folder in
      try AtomicFile.write("", to: folder + "/file", overwriting: false)
      let cache = RadiographCache(folder: folder + "/file/cache")
      let source = ImageSource(shortSide: 48, cache: cache)
      for _ in 0..<2 {
        #expect(
          try source.radiograph(at: fixture("images/wide.png"))
            == radiograph("wide.png").withoutEqualChannels.scaledDown(shortSide: 48))
      }
      #expect(cache.failure != nil)
    }
  }

  @Test func `an image that cannot be read is an error, with or without a cache`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/image.png"
      try AtomicFile.write("no image", to: path, overwriting: false)
      for source in [ImageSource(shortSide: 48), ImageSource(shortSide: 48, cache: RadiographCache(folder: folder))] {
        #expect(throws: ChestXrayError.self) { try source.radiograph(at: path) }
        #expect(throws: ChestXrayError.self) { try source.radiograph(at: folder + "/missing.png") }
      }
    }
  }
}
