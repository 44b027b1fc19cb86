"""Read-only analytics: views, reports, exports, pictures. It holds no rule and changes nothing."""
