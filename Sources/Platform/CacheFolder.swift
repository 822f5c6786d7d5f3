import Foundation

/// The folder of this user's files that can be made again: `$XDG_CACHE_HOME/chexnet`, or under `~/.cache`. It need not exist.
public var userCacheFolder: String {
  let chosen = ProcessInfo.processInfo.environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
  return (chosen ?? NSHomeDirectory() + "/.cache") + "/chexnet"
}
