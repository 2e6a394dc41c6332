using Discobot.Features.Certificates;

namespace Discobot.Features.Api;

/// <summary>Asks for the bearer token where <c>api.protect</c> says so.</summary>
internal sealed class ApiAuthorization(RequestDelegate next, ApiToken token, ApiOptions options)
{
    public Task InvokeAsync(HttpContext context)
    {
        if (!IsProtected(context) || token.IsCarriedBy(context.Request.Headers.Authorization))
            return next(context);
        context.Response.Headers.WWWAuthenticate = "Bearer realm=\"discobot\"";
        return ApiErrors.WriteAsync(context, StatusCodes.Status401Unauthorized,
            $"this needs the header \"Authorization: Bearer TOKEN\"; the token is in {options.TokenFile}");
    }

    // The page asks for the token itself, and shows nothing without it.
    private bool IsProtected(HttpContext context) => options.IsOpenTo(context.Connection)
        ? !LivePage.IsPartOf(context.Request.Path) && !LoginEndpoints.IsLogin(context.Request.Path) && IsProtected(context.Request, options.Protect)
        : IsProtected(context.Request, ApiProtection.All);

    private static bool IsProtected(HttpRequest request, ApiProtection protection) => protection switch
    {
        ApiProtection.None => false,
        // Whoever checks a certificate, or is about to trust the CA, has no token.
        ApiProtection.All => !request.Path.StartsWithSegments("/health") && !request.Path.StartsWithSegments(RevocationList.Path)
            && !request.Path.StartsWithSegments(AuthorityEndpoint.Path),
        _ => !HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method) && IsChange(request.Path),
    };

    // Emptying the whole cache asks for none: agents that fill a disk may do so.
    private static bool IsChange(PathString path) =>
        path.StartsWithSegments("/api/config") || path.StartsWithSegments("/api/cache/entries") || path.StartsWithSegments("/api/cache/warm")
        || path.StartsWithSegments("/api/approvals") || path.StartsWithSegments("/api/grants") || path.StartsWithSegments(DoctorEndpoint.Path) || path.StartsWithSegments(LoginEndpoints.Path);
}
