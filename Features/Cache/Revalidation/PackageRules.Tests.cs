using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

public sealed class PackageRulesTests
{
    [Theory]
    [InlineData("npm immutable", "/lodash/-/lodash-4.17.21.tgz", "")]
    [InlineData("npm immutable", "/mirror/npm/@babel/core/-/core-7.0.0.tgz", "")]
    [InlineData("npm revalidate", "/@babel%2fcore", "npm/10.8 node/v20")]
    [InlineData("npm revalidate", "/repository/npm/lodash", "pnpm/9.0")]
    [InlineData("", "/lodash", "curl/8")]
    [InlineData("", "/-/npm/v1/security/audits", "curl/8")]
    [InlineData("", "/-/npm/v1/security/advisories/bulk", "npm/10.8 node/v20")]
    [InlineData("", "/npm/-/npm/v1/user", "npm/10.8 node/v20")]
    [InlineData("", "/-/all", "npm/6.14 node/v14")]
    [InlineData("", "/-/all/since", "npm/6.14 node/v14")]
    [InlineData("", "/-/v1/search", "npm/10.8 node/v20")]
    [InlineData("", "/-/whoami", "yarn/1.22")]
    [InlineData("", "/repository/npm/-/ping", "npm/10.8 node/v20")]
    [InlineData("npm revalidate", "/npm/-/package/@babel%2fcore/dist-tags", "npm/10.8 node/v20")]
    [InlineData("npm revalidate", "/-", "npm/10.8 node/v20")]
    [InlineData("pypi revalidate", "/simple/requests/", "pip/24")]
    [InlineData("pypi revalidate", "/root/pypi/simple/", "pip/24")]
    [InlineData("pypi revalidate", "/pypi/requests/2.0/json", "")]
    [InlineData("pypi immutable", "/packages/ab/cd/requests-2.0-py3-none-any.whl", "")]
    [InlineData("pypi immutable", "/packages/ab/cd/requests-2.0-py3-none-any.whl.metadata", "")]
    [InlineData("crates immutable", "/crates/serde/serde-1.0.0.crate", "")]
    [InlineData("crates revalidate", "/se/rd/serde", "cargo/1.80")]
    [InlineData("crates revalidate", "/3/s/syn", "cargo 1.80")]
    [InlineData("", "/se/rd/serde", "curl/8")]
    [InlineData("go immutable", "/golang.org/x/text/@v/v0.3.0.zip", "")]
    [InlineData("go immutable", "/sumdb/sum.golang.org/tile/8/0/x001/234", "Go-http-client/2.0")]
    [InlineData("", "/arcgis/rest/services/x/MapServer/tile/8/0/200", "")]
    [InlineData("go revalidate", "/golang.org/x/text/@v/list", "")]
    [InlineData("go revalidate", "/golang.org/x/text/@v/master.info", "")]
    [InlineData("apt immutable", "/debian/pool/main/c/curl/curl_8.0_amd64.deb", "")]
    [InlineData("apt immutable", "/debian/dists/x/main/binary-amd64/by-hash/SHA256/00ff", "")]
    [InlineData("apt revalidate", "/debian/dists/bookworm/InRelease", "")]
    [InlineData("apt revalidate", "/debian/dists/bookworm/main/binary-amd64/Packages.xz", "")]
    [InlineData("apk immutable", "/alpine/v3.20/main/x86_64/curl-8.apk", "")]
    [InlineData("apk revalidate", "/alpine/v3.20/main/x86_64/APKINDEX.tar.gz", "")]
    [InlineData("rpm immutable", "/f/repodata/0123456789abcdef0123456789abcdef-primary.xml.zst", "")]
    [InlineData("rpm revalidate", "/f/repodata/repomd.xml", "")]
    [InlineData("maven immutable", "/maven2/org/a/b/1.0/b-1.0.jar", "")]
    [InlineData("maven immutable", "/maven2/org/a/b/1.0/b-1.0.pom.sha1", "")]
    [InlineData("maven revalidate", "/maven2/org/a/b/maven-metadata.xml", "")]
    [InlineData("maven revalidate", "/maven2/org/a/b/1.0-SNAPSHOT/b-1.0-1.jar", "")]
    [InlineData("gem immutable", "/gems/rake-13.0.gem", "")]
    [InlineData("gem revalidate", "/info/rake", "bundler/2.5")]
    [InlineData("gem revalidate", "/mirror/gems/", "Ruby, RubyGems/3.3.15 x86_64-linux Ruby/3.1.2")]
    [InlineData("", "/mirror/gems/", "Ruby")]
    [InlineData("", "/info/rake", "curl/8")]
    [InlineData("conda immutable", "/conda-forge/linux-64/zlib-1.3-0.conda", "")]
    [InlineData("conda revalidate", "/conda-forge/noarch/repodata.json.zst", "")]
    [InlineData("pypi revalidate", "/root/pypi/+simple/requests/", "pip/24")]
    [InlineData("pypi immutable", "/root/pypi/+f/0ab/c1234567890de/requests-2.0-py3-none-any.whl", "pip/24")]
    [InlineData("pypi immutable", "/root/pypi/+f/0ab/c1234567890de/latest.zip", "pip/24")]
    [InlineData("", "/root/pypi/+e/https_files/latest.zip", "pip/24")]
    [InlineData("apt revalidate", "/repos/ubuntu2204/x86_64/./InRelease", "Debian APT-HTTP/1.3 (2.6.1)")]
    [InlineData("apt revalidate", "/core:/stable:/v1.30/deb/Packages.gz", "Debian APT-HTTP/1.3 (2.6.1)")]
    [InlineData("apt immutable", "/core:/stable:/v1.30/deb/amd64/kubectl_1.30.0-1.1_amd64.deb", "Debian APT-HTTP/1.3 (2.6.1)")]
    [InlineData("apt revalidate", "/deb/tool_latest_amd64.deb", "Debian APT-HTTP/1.3 (2.6.1)")]
    [InlineData("", "/deb/Release", "curl/8")]
    [InlineData("", "/deb/kubectl_1.30.0-1.1_amd64.deb", "curl/8")]
    [InlineData("huggingface immutable", "/org/model/resolve/0123456789abcdef0123456789abcdef01234567/sub/model.safetensors", "")]
    [InlineData("huggingface immutable", "/datasets/org/set/resolve/0123456789abcdef0123456789abcdef01234567/a.parquet", "")]
    [InlineData("huggingface revalidate", "/gpt2/resolve/main/config.json", "unknown/None; hf_hub/0.24.0; python/3.12")]
    [InlineData("huggingface revalidate", "/api/models/org/model/revision/main", "unknown/None; hf_hub/0.24.0; python/3.12")]
    [InlineData("", "/api/models/org/model", "curl/8")]
    [InlineData("github revalidate", "/owner/repo/releases/download/v1.0/tool_linux_amd64.tar.gz", "")]
    [InlineData("github revalidate", "/owner/repo/releases/latest/download/tool.tar.gz", "")]
    [InlineData("", "/owner/repo/releases/tag/v1.0", "")]
    [InlineData("", "/owner/repo/archive/refs/heads/main.tar.gz", "")]
    [InlineData("", "/index.html", "")]
    [InlineData("", "/static/app.js", "Mozilla/5.0")]
    [InlineData("", "/user/repo.git/info/refs", "git/2.40")]
    [InlineData("", "/download/tool.tar.gz", "")]
    public void A_registrys_addresses_are_known_by_their_shape_and_nothing_else_is(string expected, string path, string agent)
    {
        var request = new ProxiedRequest { Id = "1", Scheme = "https", Target = new ConnectTarget("mirror.test", 443), PathAndQuery = path };
        var fields = new HeaderDictionary { ["User-Agent"] = agent };
        var rule = new CacheRules(new CacheOptions()).RuleOf(request, fields);
        Assert.Equal(expected, rule is null ? "" : $"{rule.Ecosystem} {rule.Mode.ToString().ToLowerInvariant()}");
        Assert.Null(new CacheRules(new CacheOptions { Packages = [] }).RuleOf(request, fields));
    }

    [Theory]
    [InlineData("/packages/", "/x")]
    [InlineData("/a/1/a-1-1.1-1.", "/x")]
    [InlineData("/pool/a.tar.", "?")]
    public void A_path_that_is_made_to_take_long_is_soon_judged(string piece, string end)
    {
        var rules = new CacheRules(new CacheOptions());
        var took = System.Diagnostics.Stopwatch.StartNew();
        foreach (var length in new[] { PackageRules.MaxPath - end.Length, 32 << 10 })
        {
            var path = string.Concat(Enumerable.Repeat(piece, length / piece.Length)) + end;
            Assert.Null(rules.RuleOf(new ProxiedRequest { Id = "1", Scheme = "https", Target = new ConnectTarget("mirror.test", 443), PathAndQuery = path }, new HeaderDictionary()));
        }

        Assert.True(took.Elapsed < TimeSpan.FromSeconds(2), took.Elapsed.ToString());
    }
}
