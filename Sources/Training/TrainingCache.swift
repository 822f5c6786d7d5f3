import ChestXray
import Evaluation
import Foundation
import Platform
import Tensors

/// Where a run keeps radiographs once they are decoded.
public enum CacheChoice: Equatable, Sendable {
  /// In the user's cache folder, where there is room for them.
  case automatic
  /// Nowhere: every epoch decodes, and sees the images in their full size.
  case never
  case folder(String)
}

/// The cache of a run, and what its user should know about it.
struct TrainingCache {
  /// Of the training list, and of the validation list: what is evaluated is never scaled down first.
  let training: ImageSource
  let validation: ImageSource
  let note: String?

  /// The short side of the images that a network of `preprocessing` is trained on; nil where they keep their size.
  ///
  /// A cache of smaller images than evaluation resizes to would enlarge them. Throws `cacheTooSmall` where such a one is asked for.
  static func shortSide(
    _ options: TrainingOptions, _ preprocessing: Preprocessing
  ) throws(TrainingError) -> Int? {
    if options.cache == .never { return nil }
    let needed =
      switch preprocessing.geometry {
      case .centerCrop(let resize, _): resize
      case .resize(let size), .squareResize(let size): size
      }
    if let size = options.cacheSize, size < needed { throw .cacheTooSmall(size: size, needed: needed) }
    let size = options.cacheSize ?? TrainingOptions.defaultCacheSize
    return size < needed ? nil : size
  }

  /// Throws `cacheTooSmall`.
  init(
    _ options: TrainingOptions, training: Dataset, validation: Dataset, pool: ThreadPool
  ) throws(TrainingError) {
    let preprocessing = training.preparation.preprocessing
    guard let side = try Self.shortSide(options, preprocessing) else {
      self.training = ImageSource()
      self.validation = ImageSource()
      note =
        options.cache == .never
        ? nil
        : "no cache: the network sees more than \(TrainingOptions.defaultCacheSize) pixels; --cache-size keeps larger ones"
      return
    }
    let folder = if case .folder(let path) = options.cache { path } else { userCacheFolder + "/radiographs" }
    let cache = RadiographCache(folder: folder)
    do throws(PlatformError) {
      let prepared = RadiographCache.Content.prepared(preprocessing.geometry, channels: preprocessing.channels)
      let missing = [
        (training.paths, RadiographCache.Content.scaled(shortSide: side), side),
        (validation.paths, prepared, preprocessing.imageSize),
      ].map { paths, content, side in
        let isMissing = pool.map(paths.count) { !cache.has(content, of: paths[$0]) }
        let count = isMissing.count { $0 }
        return (count: count, bytes: count * side * side)
      }
      let (count, bytes) = missing.reduce((0, 0)) { ($0.0 + $1.count, $0.1 + $1.bytes) }
      let free = try freeSpace(at: folder)
      let all = training.count + validation.count
      if options.cache == .automatic, free / 2 < bytes {
        self.training = ImageSource(shortSide: side)
        self.validation = ImageSource()
        note =
          "no cache: it would take \(Self.gigabytes(bytes)) of \(Self.gigabytes(free)) in \(folder.printable); every epoch decodes "
          + "(--cache names a folder elsewhere)"
        return
      }
      self.training = ImageSource(shortSide: side, cache: cache)
      self.validation = ImageSource(cache: cache)
      note =
        "cache: \(all - count) of \(all) radiographs are in \(folder.printable)"
        + (count == 0
          ? ""
          : "; the others are kept as they are decoded, about \(Self.gigabytes(bytes)) (\(Self.gigabytes(free)) free)")
    } catch {
      self.training = ImageSource(shortSide: side)
      self.validation = ImageSource()
      note = "no cache: \(error.diagnosis.message)"
    }
  }

  private static func gigabytes(_ bytes: Int) -> String { decimals(Double(bytes) / 1e9, 1) + " GB" }
}
